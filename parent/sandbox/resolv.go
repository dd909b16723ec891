package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links a path may lead over, as in the kernel:
// path_resolution(7).
const maxLinks = 40

// way is how a path leads to a file, as far as it lies outside of what is
// visible anyway.
type way struct {
	links []link
	// file is what to bind: the file at its end, or its directory; empty when
	// it is visible, or is not there.
	file string
}

// follow walks the absolute path, link by link. A path that leads nowhere is
// followed as far as it leads.
func follow(path string) (way, error) {
	var w way
	rest := strings.Split(filepath.Clean(path), "/")
	at, links := "/", 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		target, err := os.Readlink(next)
		if errors.Is(err, unix.EINVAL) { // no link
			at = next
			continue
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EACCES) {
			return w, nil // nor could it be read from outside
		}
		if err != nil {
			return w, err
		}
		if links++; links > maxLinks {
			return w, nil // open(2) says ELOOP
		}
		if !isVisible(next) {
			w.links = append(w.links, link{next, target})
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	if !isVisible(at) {
		w.file = containing(at)
	}
	return w, nil
}

// isVisible tells whether a path without links is in the sandbox anyway. One of
// the visible directories that is a link itself is not it: it is bound under
// its name, and has to be found there.
func isVisible(path string) bool {
	return slices.ContainsFunc(visible, func(dir string) bool {
		return path == dir || strings.HasPrefix(path, dir+"/")
	})
}

// containing is the directory of file, where it holds nothing else; else file
// itself. A bound file stays what it was when another is renamed over it, as
// most programs do that write resolv.conf; in a bound directory the new one is
// seen.
func containing(file string) string {
	dir := filepath.Dir(file)
	d, err := os.Open(dir)
	if err != nil {
		return file
	}
	defer d.Close()
	names, err := d.Readdirnames(2)
	if err == nil && dir != "/" && len(names) == 1 && names[0] == filepath.Base(file) {
		return dir
	}
	return file
}
