package door

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MapOwnUser makes uid and gid, as the parent user namespace knows them, root
// in the user namespace that [Request.OwnUserNS] made, and then makes the
// process undumpable, which the door could not do before it: afterwards
// /proc/self belongs to root. As user_namespaces(7) asks, setgroups(2) is
// denied before the group is mapped.
func MapOwnUser(uid, gid int) error {
	for _, m := range []struct{ file, text string }{
		{"/proc/self/uid_map", fmt.Sprintf("0 %d 1\n", uid)},
		{"/proc/self/setgroups", "deny"},
		{"/proc/self/gid_map", fmt.Sprintf("0 %d 1\n", gid)},
	} {
		if err := os.WriteFile(m.file, []byte(m.text), 0); err != nil {
			return fmt.Errorf("door: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("%s: %w", Undumpable, err)
	}
	return nil
}
