package e2e

import (
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// The first connection after the ready-fd was written to works, every time.
func TestIPv6FirstConnect(t *testing.T) {
	const runs = 50
	var longest time.Duration
	for i := range runs {
		to := "[" + lab.InetAddr6.String() + "]:80"
		if i%2 == 1 {
			to = "[" + gateway6 + "]:8000"
		}
		g := lab.NewGuest(t, lab.GuestOptions{})
		s := g.Slirp(t, "-c", "-6")
		start := time.Now()
		c, err := g.Dial("tcp6", to, commandTimeout)
		if err != nil {
			t.Errorf("run %d: %v", i, err)
		} else {
			c.Close()
		}
		longest = max(longest, time.Since(start))
		s.Stop()
		g.Kill()
	}
	t.Logf("the longest of %d took %v", runs, longest)
	// Duplicate address detection would take a second.
	if longest > time.Second {
		t.Errorf("the longest of %d took %v", runs, longest)
	}
}
