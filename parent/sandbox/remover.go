package sandbox

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Remover removes one file of the host's, at the end, from inside the sandbox.
//
// It holds its directory as a tree of mounts of its own (open_tree(2)) that
// hangs in no namespace: ".." leads nowhere. A plain descriptor of the
// directory would lead to the whole host.
type Remover struct {
	dir  int // -1: none
	name string
	path string
	id   fileID
	// as is the directory's owner, where it takes him; nil: it does not.
	as owner
}

// fileID tells the file from another that has taken its name.
type fileID struct {
	dev, ino uint64
}

// ErrNotRemovable tells that path is in a place that cannot be kept apart from
// the rest of the host: the root directory, or before Linux 5.2.
var ErrNotRemovable = errors.New("it will be left behind")

// NewRemover is for the file at path, which is there.
//
// Preconditions: as those of [Enter], before it.
func NewRemover(path string) (*Remover, error) {
	r := &Remover{dir: -1, name: filepath.Base(path), path: path}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if abs == "/" {
		return nil, fmt.Errorf("%s: %w: its directory is the root of all", path, ErrNotRemovable)
	}
	if r.dir, err = detached(abs); err != nil {
		return nil, fmt.Errorf("%s: %w: open_tree: %w", path, ErrNotRemovable, err)
	}
	if r.id, err = r.identify(); err == nil {
		err = r.choose()
	}
	if err != nil {
		unix.Close(r.dir)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// choose finds out whether the file can be removed without the capabilities
// that are about to go, and if not, has the directory's owner do it.
func (r *Remover) choose() error {
	var refused error
	if err := Try(0, func() { refused = MayRemove(r.dir, "") }); err != nil {
		return err
	}
	if !errors.Is(refused, unix.EACCES) {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(r.dir, &st); err != nil {
		return err
	}
	as, err := become(st.Uid)
	if err != nil {
		return fmt.Errorf("%w: its directory is another user's: %w", ErrNotRemovable, err)
	}
	r.as = as
	return nil
}

// detached is a tree of the directory's mount, with those that the host has
// below it only where the kernel does not give it without.
func detached(dir string) (int, error) {
	const flags = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, flags)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.OpenTree(unix.AT_FDCWD, dir, flags|unix.AT_RECURSIVE)
	}
	if err != nil {
		return -1, err
	}
	makeInert(fd)
	return fd, nil
}

// makeInert leaves nothing in a detached tree that could be run, or be a device;
// symbolic links lead nowhere. It cannot be read-only, as a file is to be removed
// from it. Kernels before Linux 5.12 leave it as it is: what is mounted nowhere
// cannot be mounted again (mount_setattr(2)). To whom the call is refused, /etc
// cannot be made read-only either: he ends there, and removes his files by this.
func makeInert(fd int) {
	const flags = unix.AT_EMPTY_PATH | unix.AT_RECURSIVE
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}
	withLinks := unix.MountAttr{Attr_set: attr.Attr_set | unix.MOUNT_ATTR_NOSYMFOLLOW}
	err := unix.MountSetattr(fd, "", flags, &withLinks)
	if errors.Is(err, unix.EINVAL) { // before Linux 5.14
		unix.MountSetattr(fd, "", flags, &attr)
	}
}

func (r *Remover) identify() (fileID, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(r.dir, r.name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fileID{}, err
	}
	return fileID{uint64(st.Dev), st.Ino}, nil
}

// Directory is the descriptor that the Remover works with.
func (r *Remover) Directory() int { return r.dir }

// Remove removes the file, if it is still the one that it was.
func (r *Remover) Remove() (err error) {
	defer unix.Close(r.dir)
	r.as.do(func() { err = r.remove() })
	return err
}

func (r *Remover) remove() error {
	id, err := r.identify()
	if errors.Is(err, unix.ENOENT) || err == nil && id != r.id {
		return nil
	}
	if err == nil {
		err = unix.Unlinkat(r.dir, r.name, 0)
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", r.path, err)
	}
	return nil
}
