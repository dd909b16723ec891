package main

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The longest gap is found in the middle as well as at the end, and a sender
// that goes is an error.
func TestLongestWait(t *testing.T) {
	const gap = 200 * time.Millisecond
	for name, c := range map[string]struct {
		send  []time.Duration // after which a byte is sent
		ends  bool
		least time.Duration
	}{
		"in the middle": {[]time.Duration{0, gap, 0}, false, gap},
		"at the end":    {[]time.Duration{0}, false, 2 * gap},
		"ends":          {[]time.Duration{0}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(pair[0])
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for _, after := range c.send {
					time.Sleep(after)
					unix.Write(pair[1], []byte{1})
				}
				if c.ends {
					unix.Close(pair[1])
				}
			}()
			longest, err := longestWait(pair[0], 3*gap)
			<-sent
			if !c.ends {
				unix.Close(pair[1])
			}
			if (err != nil) != c.ends || err == nil && (longest < c.least || longest > 3*gap+10*time.Second) {
				t.Errorf("%v, %v, want %v at least", longest, err, c.least)
			}
		})
	}
}
