package api

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is a listening control socket, and the file by which it is reached.
type Socket struct {
	listener *net.UnixListener
	path     string // absolute
	dev      uint64 // of the file at path, to know it again
	ino      uint64
}

// maxPath is the longest path in bytes: sun_path of unix(7) less a final zero.
const maxPath = 107

// probeTimeout is how long we wait for whoever listens at a path already.
const probeTimeout = time.Second

// Listen makes a control socket at path with the given permissions. A socket
// at path on which nobody listens is replaced; anything else is refused.
//
// slirp4netns: the C program removes whatever is there.
func Listen(path string, mode fs.FileMode) (*Socket, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("the specified API socket path is too long (>= %d)", maxPath+1)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("API socket %s: %w", path, err)
	}
	if err := clear(path); err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("API socket: socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close() // the listener has a descriptor of its own
	// bind(2) makes the file with the permissions of the socket, less those
	// of the umask, so it is never open to more than mode allows. Nobody can
	// connect before listen(2).
	if err := unix.Fchmod(fd, uint32(mode.Perm())); err != nil {
		return nil, fmt.Errorf("API socket %s: fchmod: %w", path, err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, fmt.Errorf("API socket %s: bind: %w", path, err)
	}
	s := &Socket{path: abs}
	if err := s.finish(file, mode); err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("API socket %s: %w", path, err)
	}
	return s, nil
}

// finish makes a bound socket listen.
func (s *Socket) finish(file *os.File, mode fs.FileMode) error {
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
	if err := unix.Listen(int(file.Fd()), math.MaxInt32); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	l, err := net.FileListener(file)
	if err != nil {
		return err
	}
	s.listener = l.(*net.UnixListener)
	return nil
}

// clear removes a socket that nobody listens on.
func clear(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // or there is no such directory, as bind will tell
	}
	if err != nil {
		return fmt.Errorf("API socket %s: %w", path, err)
	}
	if st.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("API socket %s: there is something else than a socket, which is left alone: remove it or choose another path", path)
	}
	c, err := net.DialTimeout("unix", path, probeTimeout)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("API socket %s: somebody listens there already: choose another path", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("API socket %s: %w", path, err)
	}
	return nil
}

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

// Close stops listening. The file stays; see Remove.
func (s *Socket) Close() { s.listener.Close() }
