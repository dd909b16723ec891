package parent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/parent/dataplane"
)

// The main thread is the one that the caller's PR_SET_PDEATHSIG belongs to, and
// the one whose end is the child's: the main goroutine keeps it.
func init() { runtime.LockOSThread() }

// Run is slirp4netns from its validated command line to its end. It returns the
// exit status; or it does not return, when a signal ends it.
//
// Preconditions: Run is called once, by the main goroutine.
func Run(cfg *Config) int {
	p := &process{cfg: cfg}
	if !cfg.catches() {
		dieOfSignals()
	}
	cfg.warnIPv6()
	if cfg.Sandbox {
		err := p.open()
		if err == nil {
			err = p.restart()
		}
		return report(&setupError{err}, cfg)
	}
	return p.untilItsEnd(p.begin, p.run)
}

// untilItsEnd runs begin, what belongs to the main thread, and then the other
// stages, which return why they ended. It finds the exit status.
//
// The other stages are a goroutine's that has no thread to itself: with one
// processor, each hop between it and another would take two threads' waking
// up, and starting takes dozens of them.
func (p *process) untilItsEnd(begin func() error, stages func(context.Context) error) int {
	defer p.reap()
	if err := begin(); err != nil {
		return report(err, p.cfg)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	end := make(chan error)
	limitProcs()
	go func() {
		// From here on writing to a closed pipe is an error.
		signal.Ignore(unix.SIGPIPE)
		if p.cfg.catches() {
			watchSignals(cancel, p.removeFiles)
		}
		end <- stages(ctx)
	}()
	err := <-end
	awaitLate(ctx, err)
	if s := caught(context.Cause(ctx)); s != nil {
		dieBy(s)
	}
	return report(err, p.cfg)
}

// begin is the main thread's part without a sandbox. The child gets going while
// the data plane is made.
func (p *process) begin() error {
	err := p.open()
	if err == nil {
		err = p.death.restore()
	}
	if err == nil && p.cfg.Target.needsChild() {
		err = p.startChild()
	}
	if err != nil {
		return &setupError{err}
	}
	return nil
}

// run goes through the other stages. Its error is never nil.
func (p *process) run(ctx context.Context) error {
	defer p.unlisten()
	if err := p.listen(); err != nil {
		return err
	}
	p.buildPlane()
	// While the child works: to stop all threads takes a while.
	if err := relinquish(p.files); err != nil {
		return err
	}
	return p.carry(ctx)
}

// carry has a TAP made, and carries its traffic.
func (p *process) carry(ctx context.Context) error {
	tap, err := p.attach(ctx)
	if err != nil {
		return &setupError{err}
	}
	if p.sw == nil {
		fmt.Fprintf(os.Stderr, "received tapfd=%d\n", tap.fd)
	}
	return p.serve(ctx, tap)
}

// setupError is one from before there was a TAP.
type setupError struct{ error }

func (e *setupError) Unwrap() error { return e.error }

// report prints why the process ends and returns its exit status.
//
// slirp4netns: "exitfd event", "child failed(1)", "create_sandbox failed",
// "enable_seccomp failed", "do_slirp is exiting", "do_slirp failed" and "parent
// failed" are the C program's lines.
func report(err error, cfg *Config) int {
	var setup *setupError
	var locked *lockError
	var failed *childError
	switch {
	case errors.As(err, &failed):
		warn(err)
		fmt.Fprintf(os.Stderr, "child failed(%d)\n", failed.status)
		return 1
	case errors.As(err, &setup):
		warn(err)
		if cfg.Target.needsChild() {
			fmt.Fprintln(os.Stderr, "child failed(1)")
		}
		return 1
	case errors.Is(err, errExit):
		fmt.Fprintf(os.Stderr, "%v\ndo_slirp is exiting\n", errExit)
		return 0
	case errors.Is(err, dataplane.ErrTapGone) && cfg.TapName == "":
		fmt.Fprintf(os.Stderr, "%s: the other end is gone, exiting\n", cfg.Target)
		return 0
	case errors.Is(err, dataplane.ErrTapGone):
		fmt.Fprintf(os.Stderr, "%s is gone, deleted or with the network namespace of %s, exiting\n", cfg.TapName, cfg.Target)
		return 0
	case errors.Is(err, errTargetGone):
		fmt.Fprintf(os.Stderr, "%s is gone, exiting\n", cfg.Target)
		return 0
	default:
		warn(err)
		if errors.As(err, &locked) {
			fmt.Fprintf(os.Stderr, "%s failed\n", locked.step)
		}
		fmt.Fprintln(os.Stderr, "do_slirp is exiting\ndo_slirp failed\nparent failed")
		return 1
	}
}

// warn prints err for the user.
func warn(err error) { fmt.Fprintln(os.Stderr, ipc.UserText(err)) }
