package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// visible are the directories of the host that stay.
var visible = []string{"/etc", "/run"}

// rootOptions are those of the new root (tmpfs(5)). It holds directories,
// links and empty files.
const rootOptions = "mode=755,size=64k,nr_inodes=1k"

// harmless are the flags of every mount in the sandbox.
const harmless = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// Enter leaves the host's file system for one with /etc and /run, and all that
// the file at the absolute path resolvConf needs to be found there.
//
// Preconditions: the process has a mount namespace of its own, and
// CAP_SYS_ADMIN and CAP_SYS_CHROOT in the user namespace that owns it.
func Enter(resolvConf string) error {
	// What is mounted on the host from now on shall show here, and nothing
	// that is mounted here on the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		if errors.Is(err, unix.EINVAL) {
			err = &rootError{err}
		}
		return failed(err, "making / a slave mount")
	}
	parts, err := plan(resolvConf)
	if err != nil {
		return err
	}
	defer parts.close()
	root, err := mountRoot()
	if err != nil {
		return err
	}
	if err := parts.build(root); err != nil {
		return err
	}
	if err := changeRoot(root); err != nil {
		return err
	}
	// The flags of the tmpfs itself, so that nothing can write to it.
	err = unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|harmless, "")
	return failed(err, "making the new root read-only")
}

// mountRoot mounts the new root somewhere, and returns where. What it covers
// has been opened already, and is not needed otherwise, except /proc.
func mountRoot() (dir string, err error) {
	for _, dir = range []string{"/tmp", "/run", "/etc", "/dev", "/usr"} {
		err = unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, rootOptions)
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			break
		}
	}
	if err != nil {
		return "", failed(err, "mounting a tmpfs on %s", dir)
	}
	// /tmp may be a symbolic link.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", failed(err, "finding the tmpfs")
	}
	return dir, nil
}

// changeRoot makes dir, a mount, the root of this process, and unmounts the
// old one.
func changeRoot(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return failed(err, "entering the new root")
	}
	switch err := unix.PivotRoot(".", "."); {
	case err == nil:
		// The old root now lies on top of the new one: pivot_root(2), Notes.
		if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
			return failed(err, "unmounting the old root")
		}
	case errors.Is(err, unix.EINVAL):
		// The root is the kernel's RAM disk, which cannot be moved: cover it,
		// as switch_root(8) does.
		if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
			return failed(err, "moving the new root over the RAM disk")
		}
		if err := unix.Chroot("."); err != nil {
			return failed(forWantOf(err, unix.CAP_SYS_CHROOT, "CAP_SYS_CHROOT"), "chroot to the new root")
		}
	default:
		return failed(err, "pivot_root")
	}
	return failed(os.Chdir("/"), "entering the new root")
}
