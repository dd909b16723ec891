// Package sockfile makes UNIX sockets that listen at a path of the file system
// (unix(7)), and removes them again.
//
// A socket of our user's at the path on which nobody listens is replaced;
// anything else is refused. The file never has more permissions than it is to have, and nobody
// can connect before it has them.
//
// Caller: parent, parent/api. It must not do anything with what connects.
package sockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is a listening socket, and the file by which it is reached.
type Socket struct {
	fd   int
	what string
	path string // absolute
	dev  uint64 // of the file at path, to know it again
	ino  uint64
}

// maxPath is the longest path in bytes: sun_path of unix(7) less a final zero.
const maxPath = 107

// probeTimeout is how long we wait for whoever listens at a path already.
const probeTimeout = time.Second

// Listen makes a socket of the given type at path, with the given permissions.
// In errors it is called what.
//
// slirp4netns: the C program removes whatever is there.
func Listen(what string, typ int, path string, mode fs.FileMode) (*Socket, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("the specified %s path is too long (>= %d)", what, maxPath+1)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, path, err)
	}
	s := &Socket{what: what, path: abs}
	if err := s.clear(path); err != nil {
		return nil, err
	}
	s.fd, err = unix.Socket(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: socket: %w", what, err)
	}
	if err := s.bind(path, mode); err != nil {
		unix.Close(s.fd)
		return nil, fmt.Errorf("%s %s: %w", what, path, err)
	}
	return s, nil
}

// bind makes the file, and listens.
func (s *Socket) bind(path string, mode fs.FileMode) error {
	// bind(2) makes the file with the permissions of the socket, less those
	// of the umask, so it is never open to more than mode allows. Nobody can
	// connect before listen(2).
	if err := unix.Fchmod(s.fd, uint32(mode.Perm())); err != nil {
		return fmt.Errorf("fchmod: %w", err)
	}
	if err := unix.Bind(s.fd, &unix.SockaddrUnix{Name: filed(path)}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := s.finish(mode); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}

// finish makes a bound socket listen.
func (s *Socket) finish(mode fs.FileMode) error {
	var st unix.Stat_t
	if err := unix.Lstat(s.path, &st); err != nil {
		return err
	}
	s.dev, s.ino = uint64(st.Dev), st.Ino
	if fs.FileMode(st.Mode).Perm() != mode.Perm() { // the umask took some
		if err := os.Chmod(s.path, mode.Perm()); err != nil {
			return err
		}
	}
	// The kernel cuts the backlog to net.core.somaxconn.
	if err := unix.Listen(s.fd, math.MaxInt32); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// filed is path for those to whom a name with an at sign is no file's.
func filed(path string) string {
	if strings.HasPrefix(path, "@") {
		return "./" + path
	}
	return path
}

// clear removes a socket of our user's that nobody listens on.
func (s *Socket) clear(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // or there is no such directory, as bind will tell
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", s.what, path, err)
	}
	if st.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s %s: there is something else than a socket, which is left alone: remove it or choose another path", s.what, path)
	}
	if owner, ok := st.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("%s %s: the socket that is there belongs to user %d and is left alone: remove it or choose another path", s.what, path, owner.Uid)
	}
	// A socket of another type says so (EPROTOTYPE), if somebody listens.
	c, err := net.DialTimeout("unix", filed(path), probeTimeout)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("%s %s: somebody listens there already: choose another path", s.what, path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %s: %w", s.what, path, err)
	}
	return nil
}

// Take returns the listening descriptor, which is the caller's from then on.
func (s *Socket) Take() int { return s.fd }

// Remove unlinks the file, if it is still ours.
func (s *Socket) Remove() error {
	var st unix.Stat_t
	err := unix.Fstatat(unix.AT_FDCWD, s.path, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) || err == nil && (uint64(st.Dev) != s.dev || st.Ino != s.ino) {
		return nil
	}
	if err == nil {
		err = unix.Unlinkat(unix.AT_FDCWD, s.path, 0)
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", s.path, err)
	}
	return nil
}
