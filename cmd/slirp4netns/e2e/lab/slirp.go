package lab

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Time limits of a slirp4netns: to be ready, and to end after its exit-fd.
const (
	readyTimeout = 10 * time.Second
	exitTimeout  = 5 * time.Second
)

// File descriptors that StartSlirp passes, as Podman numbers them.
const (
	readyFD   = 3
	exitFD    = 4
	firstFile = 5
)

// LockedEnv names the environment variable that, set to 1, has every
// slirp4netns of ours started with the options that lock it up, as Podman
// starts it. The C program, which is there for comparison, stays as it is.
const LockedEnv = "SLIRP4NETNS_LOCKED"

// Locked tells whether that is so.
func Locked() bool { return os.Getenv(LockedEnv) == "1" }

// Locks are those options, or none: whoever starts a slirp4netns of ours without
// [StartSlirp] puts them before the others. One without is found by process 1.
func Locks() []string {
	if Locked() {
		return []string{"--enable-sandbox", "--enable-seccomp"}
	}
	return nil
}

func locks(binary string) []string {
	if binary == Reference {
		return nil
	}
	return Locks()
}

// SlirpOptions says how to start a slirp4netns.
type SlirpOptions struct {
	Binary string     // [Binary] when empty
	UID    int        // who runs it
	Args   []string   // options and target, without --ready-fd and --exit-fd
	Files  []*os.File // further descriptors, from 5 on
	Env    []string   // added to the environment
	// NoExitFD is for callers that are not there to end it, such as a shell:
	// it has to see the end of the namespace itself. Stop sends SIGTERM.
	NoExitFD bool
	// Unlocked is for one that cannot have both locks, and is excused in
	// unlocked.go: it gets none but those of Args.
	Unlocked bool
}

// Slirp is a running slirp4netns that is ready.
type Slirp struct {
	Process *os.Process
	// Ready is the time from its start until it wrote to its ready-fd.
	Ready time.Duration
	// Args are what it was called with, but for what [LockedEnv] adds.
	Args []string

	t     T
	log   *os.File // a memory file, which has at once what it says; closed when it is garbage
	exit  *os.File // our end of its exit-fd
	term  bool     // it was given no exit-fd
	done  chan struct{}
	state *os.ProcessState
}

// Slirp connects the guest through its PID, with tap0. The options args come
// first. It ends with the test, which fails if its exit status is not 0.
func (g *Guest) Slirp(t T, args ...string) *Slirp {
	t.Helper()
	target := []string{strconv.Itoa(g.PID), "tap0"}
	return StartSlirp(t, SlirpOptions{UID: g.UID, Args: append(slices.Clone(args), target...)})
}

// StartSlirp starts a slirp4netns and waits until it is ready.
func StartSlirp(t T, o SlirpOptions) *Slirp {
	t.Helper()
	s, err := startSlirp(t, o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		s.Stop()
		s.checkNotForbidden()
		if t.Failed() {
			t.Logf("slirp4netns %v said:\n%s", o.Args, s.Log())
		}
	})
	return s
}

// startSlirp is StartSlirp without the test's cleanup.
func startSlirp(t T, o SlirpOptions) (*Slirp, error) {
	t.Helper()
	if o.Binary == "" {
		RequireBinary(t)
		o.Binary = Binary
	}
	ready, readyW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	exitR, exit, err := os.Pipe()
	if err != nil {
		readyW.Close()
		return nil, err
	}
	args := []string{"-r", strconv.Itoa(readyFD)}
	if !o.NoExitFD {
		args = append(args, "-e", strconv.Itoa(exitFD))
	}
	log, err := newLog()
	if err != nil {
		readyW.Close()
		exitR.Close()
		exit.Close()
		return nil, err
	}
	s := &Slirp{
		Args: slices.Concat(args, o.Args), t: t, log: log, exit: exit, term: o.NoExitFD, done: make(chan struct{}),
	}
	if !o.Unlocked {
		args = append(args, locks(o.Binary)...)
	}
	args = append(args, o.Args...)
	cmd := Command(context.Background(), o.UID, o.Binary, args...)
	cmd.Env = append(cmd.Env, o.Env...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.ExtraFiles = append([]*os.File{readyW, exitR}, o.Files...)
	start := time.Now()
	err = cmd.Start()
	readyW.Close()
	exitR.Close()
	if err != nil {
		exit.Close()
		return nil, err
	}
	s.Process = cmd.Process
	go s.wait(cmd)
	if err := s.awaitReady(ready, start); err != nil {
		s.Process.Kill()
		<-s.done
		exit.Close()
		return nil, fmt.Errorf("%v: %w\nit said:\n%s", cmd.Args, err, s.Log())
	}
	return s, nil
}

// newLog is a file for Slirp.log. Several processes may write to it.
func newLog() (*os.File, error) {
	fd, err := unix.MemfdCreate("log", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("a file for the log: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_APPEND); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("a file for the log: %w", err)
	}
	return os.NewFile(uintptr(fd), "log"), nil
}

// wait reaps the process.
func (s *Slirp) wait(cmd *exec.Cmd) {
	cmd.Wait()
	s.state = cmd.ProcessState
	close(s.done)
}

// awaitReady reads the ready-fd to its end: exactly "1" is expected.
func (s *Slirp) awaitReady(ready *os.File, start time.Time) error {
	ready.SetReadDeadline(time.Now().Add(readyTimeout))
	one := make([]byte, 1)
	if _, err := io.ReadFull(ready, one); err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	s.Ready = time.Since(start)
	rest, err := io.ReadAll(ready)
	if err != nil {
		return fmt.Errorf("ready-fd is not closed: %w", err)
	}
	if got := string(one) + string(rest); got != "1" {
		return fmt.Errorf("ready-fd said %q, want %q", got, "1")
	}
	return nil
}

// Log is all that the process has written to stdout and stderr. When it is ready,
// all that it said before is there.
func (s *Slirp) Log() string {
	// The offset is the process's.
	b, err := io.ReadAll(io.NewSectionReader(s.log, 0, math.MaxInt64))
	if err != nil {
		s.t.Errorf("the log of slirp4netns: %v", err)
	}
	return string(b)
}

// Stop closes the exit-fd and expects status 0 within 5 s. After the first
// time, and after Wait, it does nothing.
func (s *Slirp) Stop() {
	s.t.Helper()
	select {
	case <-s.done:
		if s.exit.Close() == nil { // nobody asked it to end
			s.t.Errorf("slirp4netns ended by itself: %v", s.state)
		}
		return
	default:
	}
	s.exit.Close()
	if s.term {
		s.Process.Signal(unix.SIGTERM)
		s.Wait(exitTimeout)
		return
	}
	if state := s.Wait(exitTimeout); state != nil && state.ExitCode() != 0 {
		s.t.Errorf("slirp4netns after its exit-fd closed: %v", state)
	}
}

// checkNotForbidden fails the test, whatever it was about, if the process was
// killed for a system call that its filter does not allow. The process has
// ended.
func (s *Slirp) checkNotForbidden() {
	s.t.Helper()
	if status, ok := s.state.Sys().(syscall.WaitStatus); ok && forbade(status) {
		s.t.Errorf("slirp4netns was killed by its seccomp filter: %v", s.state)
	}
}

// Wait expects the process to end in time, whatever its status, and returns
// that. A process that does not end fails the test and is killed.
func (s *Slirp) Wait(timeout time.Duration) *os.ProcessState {
	s.t.Helper()
	defer s.exit.Close()
	select {
	case <-s.done:
		return s.state
	case <-time.After(timeout):
	}
	s.Process.Kill()
	<-s.done
	s.t.Errorf("slirp4netns did not end within %v", timeout)
	return nil
}
