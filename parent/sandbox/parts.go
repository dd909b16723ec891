package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// parts are what the new root is built from. They were opened before anything
// was covered.
type parts struct {
	binds []bind
	links []link
}

// bind is a file or directory of the host's that appears under the same path.
type bind struct {
	path string // without symbolic links
	fd   int    // O_PATH
	dir  bool
}

// link is a symbolic link that is made again.
type link struct{ path, target string }

// plan opens all that the new root needs.
func plan(resolvConf string) (*parts, error) {
	p := new(parts)
	for _, dir := range visible {
		if err := p.add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.close()
			return nil, failed(err, "opening %s", dir)
		}
	}
	way, err := follow(resolvConf)
	if err != nil {
		p.close()
		return nil, failed(err, "following %s", resolvConf)
	}
	p.links = way.links
	if way.file != "" {
		err := p.add(way.file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.close()
			return nil, failed(err, "opening %s, which %s leads to", way.file, resolvConf)
		}
	}
	return p, nil
}

// add opens path.
func (p *parts) add(path string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return err
	}
	p.binds = append(p.binds, bind{path, fd, st.Mode&unix.S_IFMT == unix.S_IFDIR})
	return nil
}

func (p *parts) close() {
	for _, b := range p.binds {
		unix.Close(b.fd)
	}
}

// build makes everything below root.
func (p *parts) build(root string) error {
	for _, b := range p.binds {
		if err := b.mount(filepath.Join(root, b.path)); err != nil {
			return err
		}
	}
	for _, l := range p.links {
		path := filepath.Join(root, l.path)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.Symlink(l.target, path)
		}
		// Two ways may lead over one link.
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return failed(err, "making the link %s", l.path)
		}
	}
	return nil
}

// mount makes b appear at path, with all that is mounted below it.
func (b *bind) mount(path string) error {
	if err := b.mountPoint(path); err != nil {
		return failed(err, "making a place for %s", b.path)
	}
	source := fmt.Sprintf("/proc/self/fd/%d", b.fd)
	if err := unix.Mount(source, path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return failed(err, "bind-mounting %s", b.path)
	}
	// A bind mount of a slave is a slave of the same master: to be sure.
	if err := unix.Mount("", path, "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return failed(err, "making %s a slave mount", b.path)
	}
	return failed(makeHarmless(path), "making %s read-only", b.path)
}

// mountPoint makes something at path to mount over.
func (b *bind) mountPoint(path string) error {
	if b.dir {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}
