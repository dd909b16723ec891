package parent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/sandbox"
	"github.com/slirp4netns-go/slirp4netns/seccomp"
)

// lockError is a lock that was asked for and is not in force.
type lockError struct {
	error
	step string // as the C program calls it
}

func (e *lockError) Unwrap() error { return e.error }

func notLocked(err error) error { return &lockError{err, "create_sandbox"} }

// lock puts the seccomp filter into force where it is asked for. What is done
// after it is what seccomp.Rules lists.
func (p *process) lock() error {
	if !p.cfg.Seccomp {
		return nil
	}
	if !seccomp.Supported {
		warn(fmt.Errorf("WARNING: --enable-seccomp: there are no rules for %s, continuing without it", runtime.GOARCH))
		return nil
	}
	has, err := sandbox.Permitted()
	if err != nil {
		return err
	}
	rules := seccomp.Rules(seccomp.Options{
		PID: os.Getpid(), Directories: p.socketDirectories(),
		RawSockets:        has&sandbox.NewSet(unix.CAP_NET_RAW) != 0,
		OutboundInterface: p.cfg.Outbound4.onInterface() || p.cfg.Outbound6.onInterface(),
	})
	if err := seccomp.Install(rules, p.cfg.SeccompAction); err != nil {
		return &lockError{err, "enable_seccomp"}
	}
	return nil
}

// socketDirectories are those of our sockets, as seccomp.Options has them.
func (p *process) socketDirectories() (fds []int) {
	if len(p.files) > 0 && !p.cfg.Sandbox {
		return []int{unix.AT_FDCWD}
	}
	for _, f := range p.files {
		if f.remover != nil {
			fds = append(fds, f.remover.Directory())
		}
	}
	return fds
}

// relinquish leaves root the capabilities for ports below 1024 and for raw
// pings, and those without which he could not read resolv.conf again or remove
// the sockets' files. Others have none; for them it sets no_new_privs.
func relinquish(files []*hostFile) error {
	keep := sandbox.NewSet(unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW)
	has, err := sandbox.Permitted()
	if err != nil {
		return err
	}
	if has&^keep != 0 {
		var more sandbox.Set
		if err := sandbox.Try(keep, func() { more = forFiles(files) }); err != nil {
			return err
		}
		keep |= more
	}
	return sandbox.Limit(keep)
}

// forFiles finds out which capabilities our files take.
func forFiles(files []*hostFile) sandbox.Set {
	var caps sandbox.Set
	if fd, err := unix.Open(resolvConf, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		unix.Close(fd)
	} else if errors.Is(err, unix.EACCES) {
		caps |= sandbox.NewSet(unix.CAP_DAC_READ_SEARCH)
	}
	for _, f := range files {
		if sandbox.MayRemove(unix.AT_FDCWD, filepath.Dir(f.path)) != nil {
			caps |= sandbox.NewSet(unix.CAP_DAC_OVERRIDE)
		}
	}
	return caps
}
