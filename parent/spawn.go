package parent

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/door"
)

// childTimeout is how long the child may take. It takes milliseconds.
const childTimeout = 4 * time.Second

// childError is a child that did not make a TAP. Its text is for the user;
// status is what the C program would name in "child failed(status)".
type childError struct {
	text   string
	status int
}

func (e *childError) Error() string { return e.text }

// makeTap has a child make the TAP. When it fails there is no child any more;
// else the child is dying, and left to reap in p.child.
func (p *process) makeTap(ctx context.Context) (tapDevice, error) {
	defer p.sockets.Close()
	ctx, cancel := context.WithTimeout(ctx, childTimeout)
	defer cancel()
	fd, reply, err := ipc.MakeTap(ctx, p.sockets, p.cfg.request())
	if err != nil {
		return tapDevice{}, p.bury(err)
	}
	tap, err := inspectWithin(ctx, fd, reply)
	if err != nil {
		unix.Close(fd)
		return tapDevice{}, p.bury(err)
	}
	if p.target >= 0 && (reply.GetEndsWithNamespace() || !reply.GetMade()) {
		unix.Close(p.target)
		p.target = -1
	}
	// It has nothing left to do where the guest's root is.
	p.child.Kill()
	return tap, nil
}

// startChild starts the privileged stage inside the guest's namespaces.
func (p *process) startChild() error {
	path, err := childProgram()
	if err != nil {
		return err
	}
	ours, theirs, err := ipc.Pairs()
	if err != nil {
		return err
	}
	defer theirs.Close()
	r := door.Request{Stage: ipc.ChildStage, UserNS: p.namespaces.user, NetNS: p.namespaces.net}
	sys := &syscall.SysProcAttr{AmbientCaps: ambientCaps(), Pdeathsig: unix.SIGKILL}
	p.child, err = door.Spawn(r, path, []string{"slirp4netns: child"}, []string{oneProcessor}, ipc.ChildFiles(theirs), sys)
	if err != nil {
		ours.Close()
		return fmt.Errorf("starting the child process: %w", err)
	}
	p.sockets = ours
	return nil
}

// bury ends the child after err, and finds words for both.
func (p *process) bury(err error) error {
	proc := p.child
	p.child = nil
	var refusal *ipc.Refusal
	if errors.As(err, &refusal) {
		proc.End(0)
		return &childError{refused(refusal.Text, p.whyRefused), 1}
	}
	if !errors.Is(err, ipc.ErrNoAnswer) {
		proc.End(0)
		return &childError{fmt.Sprintf("the child process sent a wrong answer: %v", err), 1}
	}
	// One that is dead, or dying, has a status of its own.
	status, killed := proc.End(200 * time.Millisecond)
	switch {
	case killed:
		return &childError{fmt.Sprintf("the child process did not answer: %v", err), 1}
	case status.Signaled():
		sig := status.Signal()
		return &childError{fmt.Sprintf("the child process was killed by signal %d (%v)", sig, sig), 128 + int(sig)}
	}
	return &childError{fmt.Sprintf("the child process ended without making a TAP, with status %d", status.ExitStatus()),
		status.ExitStatus()}
}
