package lab

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// OrdinaryName is what OrdinaryUID is called where he has an account.
const OrdinaryName = "tester"

// Users and groups that OrdinaryUID may map into his user namespaces.
const (
	firstSubID = 200000
	subIDs     = 65536
)

// accountLines are what his account adds to each file of the lab's /etc:
// passwd(5), group(5), subuid(5), subgid(5).
var accountLines = map[string]string{
	"passwd": fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", OrdinaryName, OrdinaryUID, OrdinaryUID, home(OrdinaryUID)),
	"group":  fmt.Sprintf("%s:x:%d:\n", OrdinaryName, OrdinaryUID),
	"subuid": fmt.Sprintf("%s:%d:%d\n", OrdinaryName, firstSubID, subIDs),
	"subgid": fmt.Sprintf("%s:%d:%d\n", OrdinaryName, firstSubID, subIDs),
}

// provideAccount gives OrdinaryUID a name and subordinate users, as starters of
// rootless containers want them. With one user outside there is nobody to map.
func provideAccount() error {
	if oneUser {
		return nil
	}
	for name, line := range accountLines {
		target := filepath.Join("/etc", name)
		content, err := os.ReadFile(target)
		if os.IsNotExist(err) {
			continue // newuidmap(1) and newgidmap(1) are not there either
		}
		if err != nil {
			return err
		}
		if n := len(content); n > 0 && content[n-1] != '\n' {
			content = append(content, '\n')
		}
		if err := bindContent(name, string(content)+line, target); err != nil {
			return err
		}
	}
	return nil
}

// provideCgroup2 mounts what crun(1) wants, on hosts that have cgroups(7) of
// version 1 or none. Only root can.
func provideCgroup2() error {
	const cgroups = "/sys/fs/cgroup"
	var fs unix.Statfs_t
	if oneUser || unix.Statfs(cgroups, &fs) != nil || fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return nil
	}
	if err := unix.Mount("none", cgroups, "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount cgroup2 on %s: %w", cgroups, err)
	}
	return nil
}

// bindContent puts a file of the lab over target.
func bindContent(name, content, target string) error {
	ours := filepath.Join(runDir, name)
	if err := os.WriteFile(ours, []byte(content), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(ours, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", target, err)
	}
	return nil
}
