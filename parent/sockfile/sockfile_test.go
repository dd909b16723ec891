package sockfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// listenAt is Listen, closed at the test's end.
func listenAt(t *testing.T, typ int, path string, mode fs.FileMode) (*Socket, error) {
	t.Helper()
	s, err := Listen("test socket", typ, path, mode)
	if err == nil {
		t.Cleanup(func() { unix.Close(s.Take()) })
	}
	return s, err
}

// tempDir is one whose path is short enough for a socket's.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// stale leaves a socket on which nobody listens any more.
func stale(t *testing.T, typ int, path string) {
	t.Helper()
	s, err := Listen("test socket", typ, path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(s.Take())
}

var types = map[string]int{"stream": unix.SOCK_STREAM, "seqpacket": unix.SOCK_SEQPACKET}

// What is at the path already is replaced if it is a socket that nobody listens
// on, of either type, and left as it was else.
func TestListenWhereSomethingIs(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		err  string // "": replaced
	}{
		{name: "nothing", make: func(*testing.T, string) {}},
		{name: "stale stream", make: func(t *testing.T, path string) { stale(t, unix.SOCK_STREAM, path) }},
		{name: "stale seqpacket", make: func(t *testing.T, path string) { stale(t, unix.SOCK_SEQPACKET, path) }},
		{name: "foreign stream", err: "somebody listens there already", make: func(t *testing.T, path string) {
			if _, err := listenAt(t, unix.SOCK_STREAM, path, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "foreign seqpacket", err: "somebody listens there already", make: func(t *testing.T, path string) {
			if _, err := listenAt(t, unix.SOCK_SEQPACKET, path, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "file", err: "something else than a socket", make: func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "directory", err: "something else than a socket", make: func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "symlink to a stale socket", err: "something else than a socket", make: func(t *testing.T, path string) {
			stale(t, unix.SOCK_STREAM, path+".target")
			if err := os.Symlink(path+".target", path); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "dangling symlink", err: "something else than a socket", make: func(t *testing.T, path string) {
			if err := os.Symlink("nowhere", path); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		for name, typ := range types {
			t.Run(c.name+", "+name, func(t *testing.T) {
				path := filepath.Join(tempDir(t), "s")
				c.make(t, path)
				before, _ := os.Lstat(path)
				s, err := listenAt(t, typ, path, 0o600)
				after, lost := os.Lstat(path)
				if c.err != "" {
					if err == nil || !strings.Contains(err.Error(), c.err) {
						t.Errorf("%v, want %q", err, c.err)
					}
					if lost != nil || !os.SameFile(before, after) {
						t.Errorf("what was there is not left alone: %v", lost)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if after.Mode() != fs.ModeSocket|0o600 {
					t.Errorf("%v", after.Mode())
				}
				connect(t, typ, path)
				if err := s.Remove(); err != nil {
					t.Error(err)
				}
				if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("removed, and %v", err)
				}
			})
		}
	}
}

// connect wants somebody to listen at path.
func connect(t *testing.T, typ int, path string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Errorf("connect: %v", err)
	}
}

// The permissions are what was asked for, whatever the umask.
func TestListenMode(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666, 0} {
		path := filepath.Join(tempDir(t), "s")
		if _, err := listenAt(t, unix.SOCK_STREAM, path, mode); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Lstat(path); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%v: %v, %v", mode, st.Mode(), err)
		}
	}
}

// Paths that cannot be.
func TestListenErrors(t *testing.T) {
	dir := tempDir(t)
	for path, want := range map[string]string{
		strings.Repeat("x", 108):              "the specified test socket path is too long (>= 108)",
		filepath.Join(dir, "nowhere", "s"):    "no such file or directory",
		filepath.Join("/proc/self/stat", "s"): "not a directory",
	} {
		if _, err := listenAt(t, unix.SOCK_STREAM, path, 0o600); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	// The longest one.
	t.Chdir(dir)
	if s, err := listenAt(t, unix.SOCK_STREAM, strings.Repeat("x", 107), 0o600); err != nil {
		t.Error(err)
	} else if err := s.Remove(); err != nil {
		t.Error(err)
	}
}

// Remove takes away nobody else's socket, and no other file.
func TestRemoveOnlyOurs(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	s, err := listenAt(t, unix.SOCK_STREAM, path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(); err != nil {
		t.Errorf("nothing is there: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(); err != nil {
		t.Errorf("a file is there: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestAnothersStaleSocket is one that root could remove, and does not.
func TestAnothersStaleSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("an ordinary user has no socket of another's to try")
		return
	}
	path := filepath.Join(tempDir(t), "s")
	stale(t, unix.SOCK_STREAM, path)
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if _, err := listenAt(t, unix.SOCK_STREAM, path, 0o600); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

// TestAtSign is a file, and no abstract name (unix(7)).
func TestAtSign(t *testing.T) {
	t.Chdir(tempDir(t))
	s, err := listenAt(t, unix.SOCK_STREAM, "@s", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat("@s"); err != nil || st.Mode()&fs.ModeSocket == 0 {
		t.Errorf("%v, %v: want a socket", st, err)
	}
	if err := s.Remove(); err != nil {
		t.Error(err)
	}
}
