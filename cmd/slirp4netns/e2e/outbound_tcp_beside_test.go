package e2e

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// uploader sends to takeUploads.
type uploader struct {
	g  *lab.Guest
	at string
}

// takeUploads is a server that reads as many bytes as it is told before, and
// answers with one. It ends when the guest does, or the test.
func takeUploads(t *testing.T) string {
	over := make(chan struct{})
	at := listenInet(t, func(c *net.TCPConn) {
		for {
			var n uint32
			if err := binary.Read(c, binary.BigEndian, &n); err != nil {
				<-over // its answer to the guest's FIN is not ready yet
				return
			}
			if _, err := io.CopyN(io.Discard, c, int64(n)); err != nil {
				return
			}
			c.Write([]byte{1})
		}
	})
	t.Cleanup(func() { close(over) })
	return at.String()
}

// upload sends n bytes over a new connection, and returns it.
func (u uploader) upload(t *testing.T, n int) *net.TCPConn {
	t.Helper()
	c := mustDial(t, u.g, u.at)
	c.SetDeadline(time.Now().Add(commandTimeout))
	b := make([]byte, 4+n)
	binary.BigEndian.PutUint32(b, uint32(n))
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, b[:1]); err != nil {
		t.Fatal(err)
	}
	return c
}

// rate is in Gbit/s, of some uploads one after the other.
func (u uploader) rate(t *testing.T) float64 {
	const size, count = 8 << 20, 10
	begin := time.Now()
	for range count {
		u.upload(t, size).Close()
	}
	return size * count * 8 / time.Since(begin).Seconds() / 1e9
}

// TestTCPUploadsBesideIdle: connections that have sent something, and are idle or
// have no more to send, leave a new one its speed. It is compared with what a
// guest without them has at the same time.
func TestTCPUploadsBesideIdle(t *testing.T) {
	const mib = 1 << 20
	for _, idle := range []struct {
		mtu         string
		conns, sent int
		finished    bool // they have said that they send no more
	}{
		{"1500", 17, 20 * mib, false}, {"1500", 17, 20 * mib, true}, {"1500", 48, 20 * mib, false},
		{"1500", 120, 300 << 10, false}, {"1500", 120, 100 << 10, false}, {"65520", 48, 20 * mib, false},
		{"1500", 200, 1 * mib, false},
	} {
		t.Run(fmt.Sprintf("%+v", idle), func(t *testing.T) {
			var both [2]uploader
			for i := range both {
				both[i] = uploader{lab.NewGuest(t, byUser), takeUploads(t)}
				both[i].g.Slirp(t, "-c", "--mtu="+idle.mtu)
			}
			alone, beside := both[0], both[1]
			for range idle.conns {
				c := beside.upload(t, idle.sent)
				if idle.finished {
					c.CloseWrite()
				}
			}
			var without, with float64
			for range 5 {
				without, with = max(without, alone.rate(t)), max(with, beside.rate(t))
			}
			t.Logf("%.1f Gbit/s, %.1f without them", with, without)
			if with < without/2 {
				t.Error("less than half")
			}
		})
	}
}

// TestTCPAnswersBesideSleepers: answers come at once beside connections whose
// guests read nothing, which leave others little to hold. A kernel that expects
// to answer acknowledges a single segment after 40 ms.
func TestTCPAnswersBesideSleepers(t *testing.T) {
	const request, answer, count = 100, 100 << 10, 40
	for _, mtu := range []string{"1500", "65520"} {
		for _, sleepers := range []int{100, 250} {
			t.Run(fmt.Sprint("MTU ", mtu, " beside ", sleepers), func(t *testing.T) {
				g := lab.NewGuest(t, byUser)
				s := g.Slirp(t, "-c", "--mtu="+mtu)
				at := listenInet(t, func(c *net.TCPConn) {
					for b := make([]byte, answer); ; c.Write(b) {
						if _, err := io.ReadFull(c, b[:request]); err != nil {
							return
						}
					}
				})
				asleep := listenInet(t, sendOn)
				for range sleepers {
					mustDial(t, g, asleep.String())
				}
				highestKiB(t, s.Process.Pid) // they hold what they may
				c := mustDial(t, g, at.String())
				c.SetDeadline(time.Now().Add(commandTimeout))
				b := make([]byte, answer)
				var took []time.Duration
				for range count {
					begin := time.Now()
					c.Write(b[:request])
					if _, err := io.ReadFull(c, b); err != nil {
						t.Fatal(err)
					}
					took = append(took, time.Since(begin))
				}
				slices.Sort(took)
				t.Logf("%v, %v at most", took[count/2], took[count-1])
				if took[count/2] > 30*time.Millisecond {
					t.Error("too long")
				}
			})
		}
	}
}
