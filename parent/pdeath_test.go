package parent

import (
	"os"
	"os/signal"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDeathSignal(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	set := func(sig unix.Signal) {
		t.Helper()
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(sig), 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	before := readDeathSignal().sig
	defer set(before)
	// SIGURG does nothing by default.
	for _, want := range []unix.Signal{0, unix.SIGURG} {
		set(want)
		d := readDeathSignal()
		if d.sig != want || d.ppid != unix.Getppid() {
			t.Errorf("read %+v, want signal %d", d, want)
		}
		set(0) // as the kernel does
		if err := d.restore(); err != nil {
			t.Error(err)
		}
		if got := readDeathSignal().sig; got != want {
			t.Errorf("signal %d after restore, want %d", got, want)
		}
	}
}

// TestDeathSignalTooLate is a caller who died while there was none.
func TestDeathSignalTooLate(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := readDeathSignal()
	defer unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(before.sig), 0, 0, 0)
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	signals := make(chan struct{}, 1)
	stop := onSignal(unix.SIGUSR2, signals)
	defer stop()
	if err := (deathSignal{sig: unix.SIGUSR2, ppid: -1}).restore(); err != nil {
		t.Error(err)
	}
	<-signals
}

// onSignal tells when sig arrives, until stop.
func onSignal(sig os.Signal, told chan<- struct{}) (stop func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, sig)
	go func() {
		if _, ok := <-ch; ok {
			told <- struct{}{}
		}
	}()
	return func() { signal.Stop(ch); close(ch) }
}
