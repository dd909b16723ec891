package parent

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
)

// hasUs tells whether the guest's user namespace has our user and our group,
// without which the kernel lets nobody make a file there, and so no sandbox:
// unshare(1) with --user alone maps nobody, and who is root by subordinate IDs
// need not map himself. Where it cannot be told the answer is yes, and making
// the sandbox tells.
func (n *namespaces) hasUs(t Target) bool {
	pid, ok := n.member(t)
	return !ok || maps(pid, "uid", os.Geteuid()) && maps(pid, "gid", os.Getegid())
}

// ofProcess is the path of a process's namespace: proc_pid_ns(5).
var ofProcess = regexp.MustCompile(`^/proc/([0-9]+)/ns/`)

// member is a process in the guest's user namespace, of those that the command
// line names.
func (n *namespaces) member(t Target) (pid int, ok bool) {
	pids := []int{t.PID}
	for _, path := range []string{t.UserNS, t.Path} {
		if m := ofProcess.FindStringSubmatch(path); m != nil {
			pid, _ := strconv.Atoi(m[1])
			pids = append(pids, pid)
		}
	}
	for _, pid := range pids {
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
		if err != nil {
			continue
		}
		is := sameFile(f, n.user)
		f.Close()
		if is {
			return pid, true
		}
	}
	return 0, false
}

// maps tells whether the user namespace of the process pid has our id: the
// second and third number of each line are IDs of our own namespace
// (user_namespaces(7)).
func maps(pid int, kind string, id int) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/%s_map", pid, kind))
	if err != nil {
		return true
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var inside, outside, count int
		if _, err := fmt.Sscan(s.Text(), &inside, &outside, &count); err != nil || outside <= id && id-outside < count {
			return true
		}
	}
	return false
}
