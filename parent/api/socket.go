package api

import (
	"fmt"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/sockfile"
)

// Socket is a listening control socket, and the file by which it is reached.
type Socket struct {
	listener *net.UnixListener
	file     *sockfile.Socket
}

// Listen makes a control socket at path with the given permissions. A socket
// at path on which nobody listens is replaced; anything else is refused.
func Listen(path string, mode fs.FileMode) (*Socket, error) {
	s, err := sockfile.Listen("API socket", unix.SOCK_STREAM, path, mode)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(s.Take()), path)
	defer file.Close() // the listener has a descriptor of its own
	l, err := net.FileListener(file)
	if err != nil {
		s.Remove()
		return nil, fmt.Errorf("API socket %s: %w", path, err)
	}
	return &Socket{listener: l.(*net.UnixListener), file: s}, nil
}

// Remove unlinks the file, if it is still ours.
func (s *Socket) Remove() error { return s.file.Remove() }

// Close stops listening. The file stays; see Remove.
func (s *Socket) Close() { s.listener.Close() }
