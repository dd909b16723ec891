package parent

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// childPath is the path of cmd/slirp-child, set when the program is built:
//
//	-ldflags '-X github.com/slirp4netns-go/slirp4netns/parent.childPath=/usr/libexec/slirp-child'
//
// Empty, or if there is no such file, the child is this program itself.
var childPath string

// childProgram is what to start for the child.
func childProgram() (string, error) {
	if childPath != "" {
		if _, err := os.Stat(childPath); err == nil {
			return childPath, nil
		}
	}
	return self()
}

// self is the path of this program: its real one, so that ps(1) shows its
// name, unless something else is there by now.
func self() (string, error) {
	const link = "/proc/self/exe"
	var running, there unix.Stat_t
	if err := unix.Stat(link, &running); err != nil {
		return "", fmt.Errorf("%s: %w", link, err)
	}
	path, err := os.Readlink(link)
	if err != nil {
		return "", err
	}
	if unix.Stat(path, &there) == nil && there.Dev == running.Dev && there.Ino == running.Ino {
		return path, nil
	}
	return link, nil
}
