package dataplane

import (
	"testing"
	"time"
)

// Memory is given back once after a busy time, when it is over, and not again.
func TestTrimmer(t *testing.T) {
	trims := make(chan struct{}, 10)
	tr := &trimmer{wait: 50 * time.Millisecond, trim: func() { trims <- struct{}{} }}
	busy := func(batches int) {
		for range batches {
			tr.between(false)
		}
	}
	expect := func(what string, want bool) {
		t.Helper()
		got := false
		timeout := 4 * tr.wait
		if want {
			timeout = 5 * time.Second
		}
		select {
		case <-trims:
			got = true
		case <-time.After(timeout):
		}
		if got != want {
			t.Errorf("%s: memory is given back: %v, want %v", what, got, want)
		}
	}
	busy(busyBatches - 1)
	tr.between(true)
	expect("little was done", false)
	busy(busyBatches)
	tr.between(true)
	expect("much was done", true)
	tr.between(true)
	expect("nothing was done since", false)
	busy(busyBatches)
	tr.between(true)
	for range 20 { // the last idle moment but one is long before the end
		busy(quietBatches)
		time.Sleep(tr.wait / 5)
		if len(trims) != 0 {
			t.Fatal("memory is given back while the guest is busy")
		}
	}
	expect("the guest came to rest", true)
}
