package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// makeHarmless makes path, and all that is mounted below it, read-only,
// nosuid, nodev and noexec: mount_setattr(2), since Linux 5.12.
func makeHarmless(path string) error {
	attr := unix.MountAttr{
		Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC,
	}
	err := unix.MountSetattr(unix.AT_FDCWD, path, unix.AT_RECURSIVE, &attr)
	if errors.Is(err, unix.ENOSYS) {
		return remountAll(path, mountPoints, remount)
	}
	return err
}

// remountAll does the same for older kernels, mount by mount, with the functions
// of those names.
func remountAll(path string, mountPoints func(string) ([]string, error), remount func(string) error) error {
	points, err := mountPoints(path)
	if err != nil {
		return err
	}
	for _, point := range points {
		err := remount(point)
		if err == nil {
			continue
		}
		if point != path {
			if errors.Is(err, unix.EACCES) {
				continue // another user's, where we cannot go: we could not write there
			}
			// The host may have unmounted it meanwhile, which shows here.
			if now, lookErr := mountPoints(path); lookErr == nil && !slices.Contains(now, point) {
				continue
			}
		}
		return fmt.Errorf("%s: %w", point, err)
	}
	return nil
}

// remount keeps the flags about access times: an owner of a user namespace may not
// change any (mount_namespaces(7)), and none is named, which keeps them all (since
// Linux 3.17, mount(2)). The file system is not asked: it may be dead.
func remount(point string) error {
	return unix.Mount("", point, "", unix.MS_REMOUNT|unix.MS_BIND|harmless, "")
}

// mountPoints lists the mount at path and those below it: proc_pid_mountinfo(5).
func mountPoints(path string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var points []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		fields := strings.Fields(s.Text())
		if len(fields) < 5 {
			return nil, fmt.Errorf("/proc/self/mountinfo: %q", s.Text())
		}
		point := unescape(fields[4])
		if point == path || strings.HasPrefix(point, path+"/") {
			points = append(points, point)
		}
	}
	return points, s.Err()
}

// unescape undoes what the kernel does to blanks and backslashes: \040 is a
// space.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			var c byte
			if n, err := fmt.Sscanf(s[i+1:i+4], "%03o", &c); n == 1 && err == nil {
				b.WriteByte(c)
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
