package ndp

import (
	"bytes"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	router = netip.MustParseAddr("fe80::2")
	guest  = netip.MustParseAddr("fd00::100")
	ours   = []netip.Addr{router, netip.MustParseAddr("fe80::3"), netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::3")}
	mac    = [6]byte{0x52, 0x56, 0, 0, 0, 2}
)

type sent struct {
	src, dst netip.Addr
	msg      []byte
}

// record is what a Responder sent, from whatever goroutine.
type record struct {
	mu   sync.Mutex
	list []sent // guarded by mu
}

func (r *record) get() []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

func (r *record) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = nil
}

func (r *record) add(s sent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, s)
}

// newTest is a Responder and what it sent.
func newTest(nameserver netip.Addr) (*Responder, *record) {
	out := new(record)
	return New(Config{
		Addrs: ours, MAC: mac, Prefix: netip.MustParsePrefix("fd00::/64"), MTU: 1500, Nameserver: nameserver,
		Send: func(src, dst netip.Addr, msg []byte) { out.add(sent{src, dst, bytes.Clone(msg)}) },
	}), out
}

// solicitation is a neighbour solicitation for target.
func solicitation(target string, options ...byte) []byte {
	b := append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, netip.MustParseAddr(target).AsSlice()...)
	return append(b, options...)
}

func TestNeighbourSolicitations(t *testing.T) {
	sourceMAC := []byte{1, 1, 2, 0, 0, 0, 0, 1}
	unspecified := netip.IPv6Unspecified()
	group := func(a string) netip.Addr {
		b := netip.MustParseAddr(a).As16()
		g := netip.MustParseAddr("ff02::1:ff00:0").As16()
		copy(g[13:], b[13:])
		return netip.AddrFrom16(g)
	}
	for _, c := range []struct {
		name     string
		src, dst netip.Addr
		hops     uint8
		msg      []byte
		want     string // target, destination and flags of the answer
	}{
		{"router", guest, group("fe80::2"), 255, solicitation("fe80::2", sourceMAC...), "fe80::2 fd00::100 e0"},
		{"gateway, unicast", guest, ours[2], 255, solicitation("fd00::2"), "fd00::2 fd00::100 e0"},
		{"nameserver", guest, group("fd00::3"), 255, solicitation("fd00::3", sourceMAC...), "fd00::3 fd00::100 e0"},
		{"may I have yours?", unspecified, group("fd00::3"), 255, solicitation("fd00::3"), "fd00::3 ff02::1 a0"},
		{"with a nonce", unspecified, group("fd00::3"), 255, solicitation("fd00::3", 14, 1, 1, 2, 3, 4, 5, 6), "fd00::3 ff02::1 a0"},

		{"may I have mine?", unspecified, group("fd00::100"), 255, solicitation("fd00::100"), ""},
		{"a neighbour that is not there", guest, group("fd00::77"), 255, solicitation("fd00::77", sourceMAC...), ""},
		{"a foreign address", guest, group("2001:db8::1"), 255, solicitation("2001:db8::1", sourceMAC...), ""},
		{"from one of our addresses", ours[2], group("fd00::3"), 255, solicitation("fd00::3", sourceMAC...), ""},
		{"through a router", guest, ours[2], 254, solicitation("fd00::2"), ""},
		{"multicast target", guest, group("ff02::1"), 255, solicitation("ff02::1"), ""},
		{"short", guest, ours[2], 255, solicitation("fd00::2")[:23], ""},
		{"code", guest, ours[2], 255, append([]byte{135, 1}, solicitation("fd00::2")[2:]...), ""},
		{"empty option", guest, ours[2], 255, solicitation("fd00::2", 1, 0, 0, 0, 0, 0, 0, 0), ""},
		{"long option", guest, ours[2], 255, solicitation("fd00::2", 1, 2, 0, 0, 0, 0, 0, 0), ""},
		{"half an option", guest, ours[2], 255, solicitation("fd00::2", 1, 1, 0), ""},
		{"nobody with an Ethernet address", unspecified, group("fd00::3"), 255, solicitation("fd00::3", sourceMAC...), ""},
		{"nobody to one host", unspecified, ours[3], 255, solicitation("fd00::3"), ""},
	} {
		r, out := newTest(ours[3])
		if !r.Handle(Message{Src: c.src, Dst: c.dst, HopLimit: c.hops, Bytes: c.msg}) {
			t.Errorf("%s: not taken", c.name)
		}
		got := ""
		for _, s := range out.get() {
			target := netip.AddrFrom16([16]byte(s.msg[8:24]))
			if s.src != target || s.msg[0] != 136 || !bytes.Equal(s.msg[24:], append([]byte{2, 1}, mac[:]...)) {
				t.Errorf("%s: wrong answer % x from %s", c.name, s.msg, s.src)
			}
			got += target.String() + " " + s.dst.String() + " " + string("0123456789abcdef"[s.msg[4]>>4]) + "0"
		}
		if got != c.want {
			t.Errorf("%s: answer %q, want %q", c.name, got, c.want)
		}
	}
}

// Advertisements of others, and redirects, are taken and disregarded; other
// ICMPv6 is not ours.
func TestNotForUs(t *testing.T) {
	r, out := newTest(ours[3])
	for kind, want := range map[byte]bool{134: true, 136: true, 137: true, 128: false, 1: false, 143: false} {
		if got := r.Handle(Message{Src: guest, Dst: router, HopLimit: 255, Bytes: []byte{kind, 0, 0, 0}}); got != want {
			t.Errorf("type %d taken: %v", kind, got)
		}
	}
	if len(out.get()) != 0 {
		t.Errorf("answered: %v", out.get())
	}
}

// TestAdvertisement compares with what the C program sends, but for the MTU
// and the nameserver's lifetime.
func TestAdvertisement(t *testing.T) {
	want := []byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0,
		1, 1, 0x52, 0x56, 0, 0, 0, 2,
		5, 1, 0, 0, 0, 0, 0x05, 0xdc,
		3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	rdnss := []byte{25, 3, 0, 0, 0, 0, 0x07, 0x08, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3}
	r, _ := newTest(netip.Addr{})
	if got := r.advert(); !bytes.Equal(got, want) {
		t.Errorf("without nameserver:\n% x, want\n% x", got, want)
	}
	r, _ = newTest(ours[3])
	if got := r.advert(); !bytes.Equal(got, append(want, rdnss...)) {
		t.Errorf("with nameserver:\n% x", got)
	}
}

func routerSolicitation(src netip.Addr) Message {
	return Message{Src: src, Dst: netip.MustParseAddr("ff02::2"), HopLimit: 255, Bytes: []byte{133, 0, 0, 0, 0, 0, 0, 0}}
}

func TestRouterSolicitations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, out := newTest(ours[3])
		defer r.Close()
		r.Handle(routerSolicitation(guest))
		if len(out.get()) != 1 || out.get()[0].dst != guest || out.get()[0].src != router {
			t.Fatalf("answer to a guest with an address: %v", out.get())
		}
		// Not too many.
		for range 100 {
			r.Handle(routerSolicitation(guest))
		}
		if len(out.get()) != maxUnicasts {
			t.Errorf("%d answers in a second, want %d", len(out.get()), maxUnicasts)
		}
		time.Sleep(time.Second)
		r.Handle(routerSolicitation(guest))
		if len(out.get()) != maxUnicasts+1 {
			t.Error("no answer a second later")
		}
		// Without an address: to all, three seconds apart.
		out.clear()
		for range 10 {
			r.Handle(routerSolicitation(netip.IPv6Unspecified()))
		}
		if len(out.get()) != 1 || out.get()[0].dst != allNodes {
			t.Fatalf("answer to a guest without an address: %v", out.get())
		}
		time.Sleep(minDelay)
		synctest.Wait()
		if len(out.get()) != 2 {
			t.Errorf("%d advertisements to all after %v, want 2", len(out.get()), minDelay)
		}
		// Malformed ones.
		out.clear()
		time.Sleep(time.Minute)
		n := len(out.get())
		for _, m := range []Message{
			{Src: guest, HopLimit: 64, Bytes: []byte{133, 0, 0, 0, 0, 0, 0, 0}},
			{Src: guest, HopLimit: 255, Bytes: []byte{133, 0, 0, 0, 0, 0, 0}},
			{Src: guest, HopLimit: 255, Bytes: []byte{133, 0, 0, 0, 0, 0, 0, 0, 1, 0}},
			{Src: netip.IPv6Unspecified(), HopLimit: 255, Bytes: []byte{133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1}},
		} {
			r.Handle(m)
		}
		if len(out.get()) != n {
			t.Errorf("answered malformed solicitations: %v", out.get())
		}
	})
}

// Unsolicited advertisements come fast at first, then every 200 to 600 s, and
// not after Close.
func TestUnsolicited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, out := newTest(ours[3])
		start := time.Now()
		var at []time.Duration
		seen := 0
		note := func() {
			for ; seen < len(out.get()); seen++ {
				at = append(at, time.Since(start))
			}
		}
		r.Start()
		for range 3600 {
			note()
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if len(at) < 3+5 || len(at) > 3+18 {
			t.Fatalf("%d advertisements in an hour", len(at))
		}
		for i := 1; i < len(at); i++ {
			d := at[i] - at[i-1]
			switch {
			case i < maxInitial && d != initialInterval:
				t.Errorf("advertisement %d came after %v, want %v", i, d, initialInterval)
			case i >= maxInitial && (d < minInterval || d > maxInterval+time.Second):
				t.Errorf("advertisement %d came after %v", i, d)
			}
		}
		r.Close()
		n := len(out.get())
		time.Sleep(time.Hour)
		synctest.Wait()
		r.Handle(routerSolicitation(guest))
		if len(out.get()) != n {
			t.Error("advertised after Close")
		}
	})
}

// FuzzHandle: nothing that the guest sends makes us panic, and nothing makes
// us claim an address that is not ours.
func FuzzHandle(f *testing.F) {
	f.Add(byte(255), []byte(guest.AsSlice()), solicitation("fd00::2", 1, 1, 2, 0, 0, 0, 0, 1))
	f.Add(byte(255), make([]byte, 16), solicitation("fd00::100"))
	f.Add(byte(255), []byte(guest.AsSlice()), []byte{133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1})
	r, out := newTest(ours[3])
	dst := netip.MustParseAddr("ff02::1:ff00:2")
	f.Fuzz(func(t *testing.T, hops byte, src, msg []byte) {
		if len(src) != 16 || len(msg) == 0 {
			return
		}
		out.clear()
		r.Handle(Message{Src: netip.AddrFrom16([16]byte(src)), Dst: dst, HopLimit: hops, Bytes: msg})
		for _, s := range out.get() {
			if target := netip.AddrFrom16([16]byte(s.msg[8:24])); s.msg[0] == 136 && !slices.Contains(ours, target) {
				t.Fatalf("claimed %s", target)
			}
		}
	})
}
