package sandbox

import (
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// MayRemove tells whether files can be removed from the directory at path, seen
// from the directory dir, or dir itself for "": nil, or why not.
//
// Preconditions: the thread has no effective capability that counts for files.
func MayRemove(dir int, path string) error {
	err := unix.Faccessat2(dir, path, unix.W_OK|unix.X_OK, unix.AT_EACCESS|unix.AT_EMPTY_PATH)
	// Before Linux 5.8 there is no such call; profiles of containers that are as
	// old forbid what they do not know.
	if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, path, &st, unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	return mayChange(&st)
}

// mayChange is what a directory's mode says: inode(7), path_resolution(7).
func mayChange(st *unix.Stat_t) error {
	groups, err := os.Getgroups()
	if err != nil {
		return err
	}
	need := uint32(unix.S_IWOTH | unix.S_IXOTH)
	switch {
	case st.Uid == uint32(os.Geteuid()):
		need = unix.S_IWUSR | unix.S_IXUSR
	case st.Gid == uint32(os.Getegid()), slices.Contains(groups, int(st.Gid)):
		need = unix.S_IWGRP | unix.S_IXGRP
	}
	if st.Mode&need != need {
		return unix.EACCES
	}
	return nil
}
