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
// long as the process should.
func Spawn(r Request, path string, argv, env []string, files []*os.File, sys *syscall.SysProcAttr) (*os.Process, error) {
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
	return os.StartProcess(path, argv, &os.ProcAttr{
		Env:   append([]string{v}, env...),
		Files: all,
		Sys:   sys,
	})
}
