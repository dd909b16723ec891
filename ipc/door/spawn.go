package door

import (
	"fmt"
	"os"
	"syscall"
)

// Spawn starts path as a new process that goes through the door with r. The
// process gets files[i] as descriptor i, the environment env, and nothing else
// of ours; len(files) is at most 20.
//
// With sys.Pdeathsig set, the caller must be locked to a thread that lives as
// long as the process should. sys may be nil; its PidFD is overwritten.
//
// os.StartProcess would do, but its first use in a process starts another one
// to find out whether pidfds work, which takes longer than the child does.
func Spawn(r Request, path string, argv, env []string, files []*os.File, sys *syscall.SysProcAttr) (*Process, error) {
	v, err := r.variable()
	if err != nil {
		return nil, err
	}
	if len(files) > userNSFD {
		return nil, fmt.Errorf("door: %d files for %s, at most %d", len(files), r.Stage, userNSFD)
	}
	all := make([]*os.File, netNSFD+1)
	copy(all, files)
	all[userNSFD], all[netNSFD] = r.UserNS, r.NetNS
	fds := make([]uintptr, len(all))
	for i, f := range all {
		fds[i] = ^uintptr(0) // closed
		if f != nil {
			fds[i] = f.Fd()
		}
	}
	if sys == nil {
		sys = &syscall.SysProcAttr{}
	}
	p := &Process{pidfd: -1}
	sys.PidFD = &p.pidfd
	p.Pid, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: append([]string{v}, env...), Files: fds, Sys: sys})
	if err != nil {
		return nil, fmt.Errorf("execve(%q): %w", path, err)
	}
	return p, nil
}
