package link

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// asked is a neighbours on its own.
type asked struct {
	*neighbours
	rec sync.Mutex // timers write from goroutines of their own
	did
}

// did is what a neighbours did.
type did struct {
	requests []string
	sent     []string
	failed   []string
	length   int // of the table
}

// now is what it has done until now.
func (a *asked) now() did {
	a.neighbours.mu.Lock()
	length := len(a.neighbours.table)
	a.neighbours.mu.Unlock()
	a.rec.Lock()
	defer a.rec.Unlock()
	return did{slices.Clone(a.requests), slices.Clone(a.sent), slices.Clone(a.failed), length}
}

// record appends to one of what it did.
func (a *asked) record(to *[]string, text string) {
	a.rec.Lock()
	defer a.rec.Unlock()
	*to = append(*to, text)
}

func newAsked(t *testing.T) *asked {
	a := &asked{}
	e := New(Config{MTU: 1500, Addrs: []netip.Addr{netip.MustParseAddr("10.0.2.2")}})
	a.neighbours = e.neigh
	a.fallback, a.most = MAC{}, maxPeerNeighbours
	a.ask = func(addr netip.Addr, m MAC) { a.record(&a.requests, fmt.Sprintf("%v %x", addr, m)) }
	a.send = func(f []byte) { a.record(&a.sent, fmt.Sprintf("%x %s", f[:6], f[6:])) }
	a.fail = func(f []byte) { a.record(&a.failed, string(f[6:])) }
	t.Cleanup(a.close)
	return a
}

// frame is one for an address that is not known.
func (a *asked) frame(to netip.Addr, text string) { a.wait(to, append(make([]byte, 6), text...)) }

var (
	oneAddr, otherAddr = netip.MustParseAddr("10.0.2.100"), netip.MustParseAddr("fd00::100")
	oneMAC, otherMAC   = MAC{2, 1}, MAC{2, 2}
)

// toAll and toOne are requests.
func toAll(a netip.Addr) string        { return fmt.Sprintf("%v ffffffffffff", a) }
func toOne(a netip.Addr, m MAC) string { return fmt.Sprintf("%v %x", a, m) }

// Answers go to whoever spoke last from an address, and a group address is
// nobody's.
func TestNeighbours(t *testing.T) {
	n := newAsked(t)
	for _, a := range []netip.Addr{oneAddr, otherAddr} {
		if m, ok := n.lookup(a); ok {
			t.Errorf("%v is at %v", a, m)
		}
		n.learn(a, oneMAC, 1, true)
		n.learn(a, otherMAC, 2, false)
		n.learn(a, MAC{3, 1}, 1, true)
		if m, ok := n.lookup(a); m != otherMAC || !ok {
			t.Errorf("%v is at %v, want the last one", a, m)
		}
		n.gone(1)
		if m, _ := n.lookup(a); m != otherMAC {
			t.Errorf("%v is forgotten with a port that it has left", a)
		}
	}
	n.gone(2)
	if len(n.table) != 0 || len(n.ports) != 0 || n.last != nil {
		t.Errorf("%d entries and %d ports are left", len(n.table), len(n.ports))
	}
}

// Who makes up addresses neither fills the memory nor has those of others
// forgotten.
func TestNeighboursMadeUp(t *testing.T) {
	n := newAsked(t)
	n.learn(oneAddr, oneMAC, 1, false)
	for i := range 5 * maxPeerNeighbours {
		n.learn(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), MAC{2, 3, byte(i)}, 2, true)
	}
	for i := range 5 * maxAsked {
		n.frame(netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}), "hello")
	}
	if _, ok := n.lookup(oneAddr); !ok {
		t.Error("another peer's entry is gone")
	}
	if len(n.table) != 1+maxPeerNeighbours+maxAsked || n.ports[2].Len() != maxPeerNeighbours || n.asked.Len() != maxAsked {
		t.Errorf("%d entries, %d of the port, %d asked for", len(n.table), n.ports[2].Len(), n.asked.Len())
	}
	if n.dropped.Load() != 4*maxAsked {
		t.Errorf("%d frames are counted as dropped, want %d", n.dropped.Load(), 4*maxAsked)
	}
}

// Frames wait for an answer and are sent in their order, as many as there is
// room for, the newest.
func TestNeighboursAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i, a := range []netip.Addr{oneAddr, otherAddr} {
			n := newAsked(t)
			for i := range maxWaiting + 3 {
				n.frame(a, fmt.Sprint(i))
			}
			if want := []string{toAll(a)}; !slices.Equal(n.now().requests, want) || n.now().sent != nil {
				t.Errorf("requests %q, want %q; sent %q", n.now().requests, want, n.now().sent)
			}
			time.Sleep(askEvery * 3 / 2)
			n.learn(a, oneMAC, 1, i == 0) // whatever it says
			time.Sleep(time.Minute)
			if want := []string{toAll(a), toAll(a)}; !slices.Equal(n.now().requests, want) {
				t.Errorf("requests %q, want %q", n.now().requests, want)
			}
			if len(n.now().sent) != maxWaiting || n.now().sent[0] != "020100000000 3" || n.now().sent[maxWaiting-1] != fmt.Sprintf("020100000000 %d", maxWaiting+2) || n.now().failed != nil {
				t.Errorf("sent %q, failed %q", n.now().sent, n.now().failed)
			}
		}
	})
}

// TestNeighboursWaitingSize: a few large frames fill the room as well, and one
// alone always has it.
func TestNeighboursWaitingSize(t *testing.T) {
	n := newAsked(t)
	for range 5 {
		n.wait(oneAddr, make([]byte, maxWaitingSize/2))
	}
	if got := len(n.table[oneAddr].waiting); got != 2 {
		t.Errorf("%d wait, want 2", got)
	}
	n.wait(oneAddr, make([]byte, maxWaitingSize+1))
	if got := len(n.table[oneAddr].waiting); got != 1 {
		t.Errorf("%d wait, want the large one", got)
	}
}

// Nobody answers: after three requests the sender is told, and the next packet
// asks again.
func TestNeighboursNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newAsked(t)
		start := time.Now()
		var after atomic.Int64
		n.fail = func(f []byte) { n.record(&n.failed, string(f[6:])); after.Store(int64(time.Since(start))) }
		n.frame(oneAddr, "one")
		n.frame(oneAddr, "two")
		time.Sleep(time.Minute)
		if want := []string{"one", "two"}; !slices.Equal(n.now().failed, want) || time.Duration(after.Load()) != maxRequests*askEvery {
			t.Errorf("failed %q after %v, want %q", n.now().failed, time.Duration(after.Load()), want)
		}
		n.frame(oneAddr, "three")
		time.Sleep(time.Minute)
		if len(n.now().requests) != 2*maxRequests || len(n.now().failed) != 3 || n.now().length != 0 {
			t.Errorf("%d requests, %d failed, %d in the table", len(n.now().requests), len(n.now().failed), n.now().length)
		}
	})
}

// Who is silent while it is sent to is asked, then forgotten. Who answers, or is
// sent nothing, is left alone. Who never has said who it is stays: it cannot be
// expected to.
func TestNeighboursSilent(t *testing.T) {
	for name, c := range map[string]struct {
		said, speaks, answers, sentTo bool
		requests                      []string
		stays                         bool
	}{
		"silent":          {said: true, sentTo: true, requests: []string{toOne(oneAddr, oneMAC), toOne(oneAddr, oneMAC), toOne(oneAddr, oneMAC)}},
		"speaks":          {said: true, sentTo: true, speaks: true, stays: true},
		"answers":         {said: true, sentTo: true, answers: true, stays: true, requests: []string{toOne(oneAddr, oneMAC)}},
		"is sent nothing": {said: true, stays: true},
		"behind another":  {sentTo: true, stays: true, requests: []string{toAll(oneAddr), toAll(oneAddr), toAll(oneAddr)}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newAsked(t)
				n.learn(oneAddr, oneMAC, 1, c.said)
				for at := time.Duration(0); at < 3*lookEvery+maxRequests*askEvery; at += time.Second {
					if c.sentTo {
						if _, ok := n.lookup(oneAddr); !ok {
							break
						}
					}
					if c.speaks {
						n.learn(oneAddr, oneMAC, 1, false)
					}
					had := len(n.now().requests)
					time.Sleep(time.Second)
					synctest.Wait()
					if len(n.now().requests) > had && c.answers {
						n.learn(oneAddr, oneMAC, 1, true)
						break
					}
				}
				if !slices.Equal(n.now().requests, c.requests) {
					t.Errorf("requests %q, want %q", n.now().requests, c.requests)
				}
				if _, ok := n.known(oneAddr); ok != c.stays {
					t.Errorf("it is known: %t, want %t", ok, c.stays)
				}
				if time.Sleep(10 * lookEvery); !c.stays || c.sentTo {
					return
				}
				if n.look != nil {
					t.Error("the table is looked at for ever")
				}
			})
		})
	}
}

// On a TAP nothing waits, but the answer is heeded.
func TestNeighboursFallback(t *testing.T) {
	n := newAsked(t)
	n.fallback = otherMAC
	for range 3 {
		if m, ok := n.lookup(oneAddr); m != otherMAC || !ok {
			t.Errorf("at %v, %t: want the device's", m, ok)
		}
	}
	if want := []string{toAll(oneAddr)}; !slices.Equal(n.now().requests, want) {
		t.Errorf("requests %q, want %q", n.now().requests, want)
	}
	n.learn(oneAddr, oneMAC, 0, true)
	if m, _ := n.lookup(oneAddr); m != oneMAC {
		t.Errorf("at %v, want who answered", m)
	}
}

// lookup and learn are on the way of each packet.
func TestNeighboursAllocate(t *testing.T) {
	n := newAsked(t)
	n.learn(oneAddr, oneMAC, 1, true)
	n.learn(otherAddr, otherMAC, 1, true)
	n.lookup(oneAddr)
	if a := testing.AllocsPerRun(1000, func() {
		n.lookup(oneAddr)
		n.lookup(otherAddr)
		n.learn(oneAddr, oneMAC, 1, false)
		n.learn(otherAddr, otherMAC, 1, false)
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

// TestAskFrames are the requests on the wire, for an address and for who has it.
func TestAskFrames(t *testing.T) {
	e, wire := wired()
	for _, to := range []MAC{broadcastMAC, oneMAC} {
		e.ask(oneAddr, to)
		e.ask(otherAddr, to)
	}
	if len(wire.frames) != 4 {
		t.Fatalf("%d frames", len(wire.frames))
	}
	for i, dst := range []MAC{broadcastMAC, {0x33, 0x33, 0xff, 0, 1, 0}, oneMAC, oneMAC} {
		f := wire.frames[i]
		if MAC(f[:6]) != dst {
			t.Errorf("frame %d is for %x, want %x", i, f[:6], dst)
		}
		if i%2 == 0 {
			want := append([]byte{0, 1, 8, 0, 6, 4, 0, arpRequest, 0x52, 0x55, 10, 0, 2, 2, 10, 0, 2, 2, 0, 0, 0, 0, 0, 0}, oneAddr.AsSlice()...)
			if !bytes.Equal(f[ethLen:ethLen+arpLen], want) {
				t.Errorf("ARP % x, want % x", f[ethLen:], want)
			}
			continue
		}
		ip := header.IPv6(f[ethLen:])
		node := "ff02::1:ff00:100"
		if dst == oneMAC {
			node = "fd00::100"
		}
		if !ip.IsValid(len(ip)) || ip.HopLimit() != 255 || ip.SourceAddress() != tcpip.AddrFrom16(netip.MustParseAddr("fe80::2").As16()) ||
			ip.DestinationAddress() != tcpip.AddrFrom16(netip.MustParseAddr(node).As16()) {
			t.Errorf("% x", ip)
		}
		msg := ip.Payload()
		if !transportSumOK(header.ICMPv6ProtocolNumber, ip[8:40], msg) || len(msg) != 32 || msg[0] != 135 ||
			!bytes.Equal(msg[8:24], otherAddr.AsSlice()) || !bytes.Equal(msg[24:], append([]byte{1, 1}, RouterMAC6[:]...)) {
			t.Errorf("message % x", msg)
		}
	}
}

// wired is an Endpoint on a Wire that keeps what is sent.
func wired() (*Endpoint, *record) {
	e, wire := New(Config{
		MTU: 1500, IPv6: true, Addrs: []netip.Addr{netip.MustParseAddr("10.0.2.2")},
		Addrs6: []netip.Addr{netip.MustParseAddr("fe80::2")}, Broadcast: netip.MustParseAddr("10.0.2.255"),
	}), new(record)
	e.Connect(wire)
	return e, wire
}

// TestUnreachable is what netstack is told of a segment that nobody took.
func TestUnreachable(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		e, wire := wired()
		var netstack sink
		e.Attach(&netstack)
		pkt, _ := tcpPacket(v6, header.TCPFlagSyn, 1448)
		if !e.writePacket(pkt) || len(wire.frames) != 1 {
			t.Fatalf("%d frames, want a request", len(wire.frames))
		}
		pkt.DecRef()
		addr := tcpip.AddrFrom4(oneAddr.As4())
		to := oneAddr
		if v6 {
			to = netip.MustParseAddr("fd00::9")
			addr = tcpip.AddrFrom16(to.As16())
		}
		e.neigh.mu.Lock()
		waited := e.neigh.forgetLocked(e.neigh.table[to])
		e.neigh.mu.Unlock()
		if len(waited) != 1 {
			t.Fatalf("%d wait, want the segment", len(waited))
		}
		e.unreachable(waited[0])
		if len(netstack.packets) != 1 {
			t.Fatal("netstack is told nothing")
		}
		b := netstack.packets[0]
		var quote []byte
		if v6 {
			ip := header.IPv6(b)
			msg := header.ICMPv6(ip.Payload())
			if !ip.IsValid(len(b)) || msg.Type() != header.ICMPv6DstUnreachable || msg.Code() != header.ICMPv6NetworkUnreachable ||
				!transportSumOK(header.ICMPv6ProtocolNumber, b[8:40], msg) {
				t.Errorf("% x", b)
			}
			quote = msg[8:]
			if header.IPv6(quote).DestinationAddress() != addr || header.IPv6(quote).SourceAddress() != ip.DestinationAddress() {
				t.Errorf("quotes % x", quote)
			}
			continue
		}
		ip := header.IPv4(b)
		msg := header.ICMPv4(ip.Payload())
		if !ip.IsValid(len(b)) || !ip.IsChecksumValid() || msg.Type() != header.ICMPv4DstUnreachable ||
			msg.Code() != header.ICMPv4HostUnreachable || checksum.Checksum(msg, 0) != 0xffff {
			t.Errorf("% x", b)
		}
		quote = msg[8:]
		if header.IPv4(quote).DestinationAddress() != addr || header.IPv4(quote).SourceAddress() != ip.DestinationAddress() {
			t.Errorf("quotes % x", quote)
		}
	}
}

// Groups are not asked for.
func TestGroupMACs(t *testing.T) {
	e, wire := wired()
	for a, want := range map[string]MAC{
		"255.255.255.255": broadcastMAC, "10.0.2.255": broadcastMAC, "224.129.2.3": {1, 0, 0x5e, 1, 2, 3},
	} {
		if m, ok := e.mac4of(netip.MustParseAddr(a)); m != want || !ok {
			t.Errorf("%s: %x", a, m)
		}
	}
	if m, ok := e.mac6of(netip.MustParseAddr("ff02::1:ff12:3456")); m != (MAC{0x33, 0x33, 0xff, 0x12, 0x34, 0x56}) || !ok {
		t.Errorf("%x", m)
	}
	if len(wire.frames) != 0 {
		t.Errorf("% x", wire.frames)
	}
}
