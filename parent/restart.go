package parent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/door"
	"github.com/slirp4netns-go/slirp4netns/parent/sandbox"
)

// restart replaces the process by its sandboxed stage. The child is started
// before, since it is of the caller's world, and makes the TAP meanwhile. It
// returns only when it failed.
//
// No signal is caught so far: one that came between two programs would be
// lost.
func (p *process) restart() error {
	s := &state{
		Config: p.cfg,
		UID:    os.Geteuid(), GID: os.Getegid(),
		TapFD:    -1,
		TargetFD: p.target,
		ChildFD:  -1,
		RPC:      -1,
		RPCFiles: -1,

		WhyRefused: p.whyRefused,
	}
	var err error
	if s.Name, err = processName(); err != nil {
		return err
	}
	if p.cfg.Target.needsChild() {
		if err := p.startChild(); err != nil {
			return err
		}
		s.ChildPID, s.ChildFD = p.child.Pid, p.child.File()
		s.RPC, s.RPCFiles = int(p.sockets.RPC.Fd()), int(p.sockets.FD.Fd())
	}
	err = p.exec(s)
	if p.child != nil {
		p.child.End(0)
	}
	return err
}

// exec is the last of restart.
func (p *process) exec(s *state) error {
	s.DeathSignal, s.Caller = p.death.sig, p.death.ppid
	s.ReadyFD, s.ExitFD, s.Mute, s.HungUp = p.readyFD, p.exitFD, p.mute, p.hungUp
	if p.cfg.Target.Kind == TargetTapFD {
		s.TapFD = p.cfg.Target.FD
	}
	for _, fd := range []*int{&s.ReadyFD, &s.ExitFD, &s.TapFD, &s.TargetFD, &s.ChildFD, &s.RPC, &s.RPCFiles} {
		if !isOpen(*fd) {
			continue // the last stage says so
		}
		var err error
		if *fd, err = door.Avoid(*fd); err != nil {
			return err
		}
	}
	path, err := self()
	if err != nil {
		return err
	}
	pipe, stage, err := s.send()
	if err != nil {
		return err
	}
	keep := slices.DeleteFunc(append(s.descriptors(), pipe), func(fd int) bool { return !isOpen(fd) })
	r := door.Request{Stage: stage, OwnMountNS: true, LimitBounding: true}
	switch {
	case mayMount():
		if err := raiseAmbient(sandbox.Needs()...); err != nil {
			return err
		}
	case p.namespaces.user != nil && p.namespaces.hasUs(p.cfg.Target):
		r.UserNS = p.namespaces.user
	default:
		r.OwnUserNS = true
	}
	return door.Exec(r, path, os.Args, environment(), keep)
}

// Resumes tells whether the door's stage is one for [Resume].
func Resumes(stage string) bool { return strings.HasPrefix(stage, stagePrefix) }

// Resume is Run after the process has replaced itself, inside the namespaces
// of the sandbox, which is not locked yet.
//
// Preconditions: as those of Run.
func Resume(stage string) int {
	s, err := receiveState(stage)
	if err != nil {
		fmt.Fprintln(os.Stderr, "slirp4netns:", err)
		return 1
	}
	p := &process{
		cfg:     s.Config,
		readyFD: s.ReadyFD, exitFD: s.ExitFD, target: s.TargetFD,
		mute: s.Mute, hungUp: s.HungUp,
		death:      deathSignal{s.DeathSignal, s.Caller},
		whyRefused: s.WhyRefused,
	}
	if s.TapFD >= 0 {
		p.cfg.Target.FD = s.TapFD
	}
	if s.ChildPID > 0 {
		p.child = door.Adopt(s.ChildPID, s.ChildFD)
		p.sockets = ipc.Sockets{RPC: os.NewFile(uintptr(s.RPC), "rpc"), FD: os.NewFile(uintptr(s.RPCFiles), "fd")}
	}
	if !p.cfg.catches() {
		dieOfSignals()
	}
	return p.untilItsEnd(func() error { return p.arrive(s) }, p.resume)
}

// arrive is the main thread's part.
func (p *process) arrive(s *state) error {
	if err := ipc.CloseInherited(s.descriptors()...); err != nil {
		return &setupError{err}
	}
	if err := setProcessName(s.Name); err != nil {
		return &setupError{err}
	}
	if err := p.arrived(s); err != nil {
		return err
	}
	if err := p.death.restore(); err != nil {
		return &setupError{err}
	}
	return nil
}

// resume goes through the stages that are left.
func (p *process) resume(ctx context.Context) error {
	defer p.unlisten()
	if err := p.listen(); err != nil {
		return err
	}
	if err := p.keepRemovers(); err != nil {
		return notLocked(sandbox.Explain(err))
	}
	p.buildPlane()
	p.entered = true
	if err := sandbox.Enter(resolvConf); err != nil {
		return notLocked(err)
	}
	keep := sandbox.NewSet(unix.CAP_NET_BIND_SERVICE)
	if err := sandbox.LimitBounding(keep); err != nil {
		return notLocked(sandbox.Explain(err))
	}
	if err := sandbox.Limit(keep); err != nil {
		return notLocked(sandbox.Explain(err))
	}
	return p.carry(ctx)
}

// arrived finds out whether the door could do what exec asked for.
func (p *process) arrived(s *state) error {
	for _, act := range []door.Act{door.Undumpable, door.OwnUserNS, door.JoinUserNS, door.StillUndumpable, door.OwnMountNS} {
		if !door.Asked(act) {
			continue
		}
		if err := door.Result(act); err != nil {
			return notLocked(sandbox.Explain(err))
		}
	}
	if !door.Asked(door.OwnMountNS) {
		return notLocked(errors.New("the sandbox's stage was started without its mount namespace"))
	}
	if door.Asked(door.OwnUserNS) {
		if err := door.MapOwnUser(s.UID, s.GID); err != nil {
			return notLocked(sandbox.Explain(err))
		}
	}
	return nil
}

// isOpen tells whether fd is a descriptor of ours.
func isOpen(fd int) bool {
	if fd < 0 {
		return false
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}
