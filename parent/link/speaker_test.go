package link

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Whose address is asked about is heard, and forgotten when it is silent and
// does not answer, or has given the address up.
func TestSpeaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newAsked(t)
		if m, _, known := n.speaker(oneAddr); known {
			t.Errorf("%x speaks from an address that nothing came from", m)
		}
		if d := n.now(); d.length != 0 || d.requests != nil {
			t.Errorf("%+v: want nobody asked, and nothing in the table", d)
		}
		n.learn(oneAddr, oneMAC, 1, true)
		n.learn(otherAddr, oneMAC, 1, true)
		n.left(otherAddr, otherMAC) // is not who speaks from it
		if m, said, known := n.speaker(otherAddr); !known || !said || m != oneMAC {
			t.Errorf("%x, %t, %t: want %x, who said so", m, said, known, oneMAC)
		}
		n.left(otherAddr, oneMAC)
		if _, _, known := n.speaker(otherAddr); known {
			t.Error("it has left, and still speaks")
		}
		time.Sleep(3 * lookEvery)
		if d := n.now(); d.requests != nil {
			t.Errorf("asked %q of whom nobody wanted to know anything", d.requests)
		}
		if m, said, known := n.speaker(oneAddr); !known || !said || m != oneMAC {
			t.Errorf("%x, %t, %t: want %x, who said so", m, said, known, oneMAC)
		}
		time.Sleep(2*lookEvery + maxRequests*askEvery)
		synctest.Wait()
		if d := n.now(); d.length != 0 || !slices.Equal(d.requests, []string{toOne(oneAddr, oneMAC), toOne(oneAddr, oneMAC), toOne(oneAddr, oneMAC)}) {
			t.Errorf("%+v: want it asked three times and forgotten", d)
		}
	})
}
