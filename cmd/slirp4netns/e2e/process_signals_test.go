package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestSignalOfProcess1: for process 1 of a PID namespace, as in a container of its
// own, the kernel does nothing by default, and yet SIGTERM ends it.
func TestSignalOfProcess1(t *testing.T) {
	g := lab.NewGuest(t, byRoot)
	cmd := lab.Command(t.Context(), g.UID, lab.Binary, append(lab.Locks(), pathOnly(g)...)...)
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the host can be reached", func() bool {
		c, err := g.Dial("tcp4", "10.0.2.2:8000", commandTimeout)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	start := time.Now()
	cmd.Process.Signal(unix.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
		if code := cmd.ProcessState.ExitCode(); code != 128+int(unix.SIGTERM) {
			t.Errorf("ended with %v, want status %d", cmd.ProcessState, 128+int(unix.SIGTERM))
		}
		if d := time.Since(start); d > 700*time.Millisecond {
			t.Errorf("ended after %v, want it at once", d)
		}
	case <-time.After(endTimeout):
		cmd.Process.Kill()
		<-ended
		t.Error("SIGTERM did not end it")
	}
}

// TestSignalToTheGroup: a signal that goes to the child as well, as ^C does, ends
// the process as if it were alone, whenever it comes; the child's end is no error
// then.
func TestSignalToTheGroup(t *testing.T) {
	g := lab.NewGuest(t, byUser)
	dir := lab.TempDir(t, g.UID)
	for i := range 60 {
		var said lab.Log
		args := append(lab.Locks(), "-c", "-a", filepath.Join(dir, "api"), strconv.Itoa(g.PID), "tap0")
		cmd := lab.Command(t.Context(), g.UID, lab.Binary, args...)
		cmd.Stdout, cmd.Stderr = &said, &said
		cmd.SysProcAttr.Setpgid = true
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(2+i/5) * time.Millisecond)
		if err := unix.Kill(-cmd.Process.Pid, unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != unix.SIGINT {
			t.Errorf("%d: %v\n%s", i, cmd.ProcessState, said.String())
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Fatalf("%v is left", left)
		}
	}
}
