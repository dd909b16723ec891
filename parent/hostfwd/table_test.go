package hostfwd

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// newTable makes a Table whose guest does not answer. It ends with the test,
// and must have no socket left then.
func newTable(t *testing.T, maxSockets int) *Table {
	t.Helper()
	poller, err := poll.New()
	if err != nil {
		t.Fatal(err)
	}
	st := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	before := sockets(t)
	table := New(Config{
		Stack: st, Poller: poller, Worker: poll.NewWorker(),
		Guest4:     Guest{netip.MustParseAddr("10.0.2.2"), netip.MustParsePrefix("10.0.2.0/24")},
		FirstLease: netip.MustParseAddr("10.0.2.15"),
		MaxSockets: maxSockets,
	})
	t.Cleanup(func() {
		table.Close()
		if n := sockets(t); n != before {
			t.Errorf("%d sockets are left", n-before)
		}
		poller.Close()
		st.Close()
	})
	return table
}

// sockets is how many this process has.
func sockets(t *testing.T) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func TestTableAddListRemove(t *testing.T) {
	table := newTable(t, 0)
	first, err := table.Add(ruleOf(t, "tcp 127.0.0.1:0 10.0.2.100:80"))
	if err != nil || first.ID != 1 || first.Host.Port() == 0 {
		t.Fatalf("%+v, %v; want ID 1 and a port", first, err)
	}
	second, err := table.Add(ruleOf(t, "udp [::]:0 10.0.2.100:80"))
	if err != nil || second.ID != 2 || second.Host.Port() == 0 {
		t.Fatalf("%+v, %v; want ID 2 and a port", second, err)
	}
	again := first.Rule
	if _, err := table.Add(again); !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), "forward 1 has 127.0.0.1:") {
		t.Errorf("a second one of the same: %v", err)
	}
	again.Host = netip.AddrPortFrom(netip.IPv4Unspecified(), first.Host.Port())
	if _, err := table.Add(again); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("one that overlaps: %v", err)
	}
	if l := table.List(); len(l) != 2 || l[0] != first || l[1] != second {
		t.Errorf("list %+v, want %+v and %+v", l, first, second)
	}
	if err := table.Remove(1, false); err != nil {
		t.Error(err)
	}
	if err := table.Remove(1, false); !errors.Is(err, ErrUnknown) {
		t.Errorf("removed twice: %v", err)
	}
	if e, err := table.Add(first.Rule); err != nil || e.ID != 3 {
		t.Errorf("the same port once it is free: %+v, %v; want ID 3", e, err)
	}
}

// A range is put into force as a whole, or not at all.
func TestTableRange(t *testing.T) {
	table := newTable(t, 0)
	// An address that nobody else uses, and ports that no socket is given
	// which asks for any.
	last := netip.MustParseAddrPort("127.77.0.1:20019")
	taken, err := net.Listen("tcp", last.String())
	if err != nil {
		t.Fatal(err)
	}
	r := Rule{Network: "tcp", Host: netip.AddrPortFrom(last.Addr(), last.Port()-2), End: last.Port(), Guest: netip.MustParseAddrPort("10.0.2.100:80")}
	before := sockets(t)
	if _, err := table.Add(r); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a range with a port that somebody has: %v", err)
	}
	if n := sockets(t); n != before {
		t.Errorf("%d sockets are left of a range that failed", n-before)
	}
	taken.Close()
	if _, err := table.Add(r); err != nil {
		t.Errorf("once it is free: %v", err)
	}
	if n := sockets(t); n != before-1+3 {
		t.Errorf("%d sockets for a range of 3", n-before+1)
	}
}

func TestTableRefuses(t *testing.T) {
	table := newTable(t, 10)
	for rule, want := range map[string]string{
		"tcp 127.0.0.1:20000-20010 10.0.2.100:80": "more than 10 ports would be forwarded",
		"tcp 127.0.0.1:0 [fd00::5]:80":            "the guest has no IPv6 (--enable-ipv6)",
		"tcp 192.0.2.99:0 10.0.2.100:80":          "bind 192.0.2.99:0: cannot assign requested address",
		"tcp [fe80::1%nolink]:0 10.0.2.100:80":    "bind [fe80::1%nolink]:0: there is no interface nolink",
		"udp6 [fe80::1%99999]:0 10.0.2.100:80":    "bind [fe80::1%99999]:0: ",
		"sctp 127.0.0.1:0 10.0.2.100:80":          `protocol "sctp"`,
	} {
		if e, err := table.Add(ruleOf(t, rule)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", rule, e, err, want)
		}
	}
	if e, err := table.Add(ruleOf(t, "tcp 127.0.0.1:0 10.0.2.100:80")); err != nil || e.ID != 1 {
		t.Errorf("after failures: %+v, %v; want ID 1", e, err)
	}
	table.Close()
	if _, err := table.Add(ruleOf(t, "tcp 127.0.0.1:0 10.0.2.100:80")); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("after the end: %v", err)
	}
}

// Datagrams of the guest leave from the first port that can reach where they
// go, whether it was ever asked anything or not.
func TestTableSend(t *testing.T) {
	table := newTable(t, 0)
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	guest, to := netip.MustParseAddrPort("10.0.2.100:53"), peer.LocalAddr().(*net.UDPAddr).AddrPort()
	if table.Send(guest, to, []byte("x"), 0) {
		t.Error("sent without a rule")
	}
	v6, err := table.Add(ruleOf(t, "udp6 [::1]:0 10.0.2.100:53"))
	if err != nil {
		t.Fatal(err)
	}
	if table.Send(guest, to, []byte("x"), 0) {
		t.Errorf("sent to %s from %s", to, v6.Host)
	}
	v4, err := table.Add(ruleOf(t, "udp 127.0.0.1:0 10.0.2.100:53"))
	if err != nil {
		t.Fatal(err)
	}
	if !table.Send(guest, to, []byte("onetwo3"), 3) {
		t.Error("not sent")
	}
	b := make([]byte, 100)
	for _, want := range []string{"one", "two", "3"} {
		n, from, err := peer.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != want || from != v4.Host {
			t.Errorf("%q from %s, %v; want %q from %s", b[:n], from, err, want, v4.Host)
		}
	}
	if table.Send(netip.MustParseAddrPort("10.0.2.100:54"), to, []byte("x"), 0) {
		t.Error("sent from another port of the guest")
	}
	if err := table.Remove(v4.ID, false); err != nil {
		t.Fatal(err)
	}
	if table.Send(guest, to, []byte("x"), 0) {
		t.Error("sent from a port that was removed")
	}
}

// Without IPv6 in the kernel a port of all addresses is one of all IPv4
// addresses.
func TestTableWithoutIPv6(t *testing.T) {
	table := newTable(t, 0)
	socket = func(family, typ, proto int) (int, error) {
		if family == unix.AF_INET6 {
			return -1, unix.EAFNOSUPPORT
		}
		return unix.Socket(family, typ, proto)
	}
	t.Cleanup(func() { socket = unix.Socket })
	for rule, works := range map[string]bool{
		"tcp [::]:0 10.0.2.100:80":  true,
		"udp [::]:0 10.0.2.100:80":  true,
		"tcp6 [::]:0 10.0.2.100:80": false,
		"tcp [::1]:0 10.0.2.100:80": false,
	} {
		e, err := table.Add(ruleOf(t, rule))
		if works && (err != nil || e.Host.Port() == 0) || !works && !errors.Is(err, unix.EAFNOSUPPORT) {
			t.Errorf("%s: %v, %v", rule, e.Host, err)
		}
		if !works {
			continue
		}
		c, err := net.Dial(e.Network, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), e.Host.Port()).String())
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		c.Close()
	}
}
