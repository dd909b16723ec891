package vswitch

import (
	"os"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// leaving is a link.Taker that is told of peers that have left.
type leaving struct {
	*bed
	gone chan link.Port
}

func (l leaving) Gone(p link.Port) { l.gone <- p }

// Who leaves is gone once, and with his socket, also when the number of that is
// another's at once and frames for him are still waiting. Others lose nothing.
func TestLeave(t *testing.T) {
	b := newStopped(t, testConfig())
	const rounds = 200
	l := leaving{b, make(chan link.Port, 2*rounds)}
	b.run(l)
	stays := b.join(1)
	stays.send(toStack, "here")
	b.wantStack("here")
	before := descriptors(t)
	for range rounds {
		p := &peer{t, dial(t, b.path), 2}
		p.send(mac(1), "to the one that stays")
		stays.want("to the one that stays")
		for range 5 { // of which it reads nothing
			stays.send(mac(2), "left behind")
		}
		p.send(toStack, "last words")
		p.leave()
		b.wantStack("last words")
	}
	b.eventually("one peer", func() bool { return b.Peers() == 1 })
	b.eventually("as many descriptors as before", func() bool { return descriptors(t) == before })
	stays.send(toStack, "still here")
	b.wantStack("still here")
	for want := link.Port(2); want < 2+rounds; want++ {
		if got := <-l.gone; got != want {
			t.Fatalf("port %d is gone, want %d", got, want)
		}
	}
	if n := len(l.gone); n != 0 {
		t.Errorf("%d more are gone", n)
	}
}

// descriptors is how many this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
