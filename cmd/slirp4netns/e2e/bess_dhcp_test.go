package e2e

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// leasedAddr is an address that DHCP gives, counted from the first.
func leasedAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 2, byte(15 + i)}) }

// TestBESSStaticPeer: DHCP gives nobody an address that another machine has
// taken by itself, be it one that has spoken, or one that answers when it is
// asked. When that machine leaves, the address is as any other.
func TestBESSStaticPeer(t *testing.T) {
	b, first := startBESS(t, bothLocks...)
	spoken := newStation(t, first, leasedAddr(0).String())
	spoken.handshake("10.0.2.2", lab.HostHTTPPort)
	silent := newStation(t, b.Peer(t), leasedAddr(1).String())
	client := newStation(t, b.Peer(t), "10.0.2.101")
	if client.request(spoken.addr) {
		t.Errorf("%v, from which another one speaks, was granted", spoken.addr)
	}
	if a := client.discover(); a != silent.addr {
		t.Fatalf("%v was offered, want %v", a, silent.addr)
	}
	asked := silent.want("request for its address", func(f []byte) bool {
		return binary.BigEndian.Uint16(f[12:]) == protoARP && f[21] == 1 && [4]byte(f[38:42]) == silent.addr.As4()
	})
	router := [6]byte(asked[6:12])
	silent.send(silent.ethernet(router, protoARP, arp(2, silent.mac, silent.addr, router, netip.MustParseAddr("10.0.2.2"))))
	silent.resolve("10.0.2.3") // and so what was sent before has been read
	if client.request(silent.addr) {
		t.Errorf("%v, which another one has said to have, was granted", silent.addr)
	}
	if a := client.discover(); a != leasedAddr(2) || !client.request(a) {
		t.Errorf("%v was offered or refused, want %v", a, leasedAddr(2))
	}
	spoken.file.Close()
	await(t, "the address to be free", func() bool { return client.request(spoken.addr) })
}

// TestBESSStaticGuest is the same with a kernel that has the address, and
// busybox that wants one.
func TestBESSStaticGuest(t *testing.T) {
	b, file := startBESS(t)
	static, client := lab.NewGuest(t, lab.GuestOptions{}), lab.NewGuest(t, lab.GuestOptions{})
	static.Bridge(t, file, 1500, netip.PrefixFrom(leasedAddr(0), 24))
	checkReachesHost(t, static)
	client.Bridge(t, b.Peer(t), 1500, netip.Prefix{})
	if got := lease(t, client); !strings.HasPrefix(got, "ip="+leasedAddr(1).String()+" ") {
		t.Errorf("leased %q, want %v", got, leasedAddr(1))
	}
	client.Run(t, commandTimeout, "ping", "-q", "-c1", "-W2", leasedAddr(0).String())
	checkReachesHost(t, client)
	checkReachesHost(t, static)
}

// TestBESSLeaseOfWhoIsGone: a machine that has left keeps its address as long
// as there are others.
func TestBESSLeaseOfWhoIsGone(t *testing.T) {
	b, first := startBESS(t, "--cidr=10.0.2.0/25")
	leaves := newStation(t, first, "10.0.2.4")
	if a := leaves.discover(); a != leasedAddr(0) || !leaves.request(a) {
		t.Fatalf("%v was offered or refused", a)
	}
	// A machine with many Ethernet addresses takes all others but one.
	crowd := newStation(t, b.Peer(t), "10.0.2.5")
	last := netip.MustParseAddr("10.0.2.126")
	for a, i := leasedAddr(0), byte(0); a.Next() != last; i++ {
		crowd.mac[5] = 100 + i
		if a = crowd.discover(); !crowd.request(a) {
			t.Fatalf("%v was offered, and then refused", a)
		}
	}
	leaves.file.Close()
	leaves = newStation(t, b.Peer(t), "10.0.2.4")
	if a := leaves.discover(); a != leasedAddr(0) {
		t.Errorf("%v was offered to a machine that is back, want its own", a)
	}
	one, other := newStation(t, b.Peer(t), "10.0.2.6"), newStation(t, b.Peer(t), "10.0.2.7")
	if a := one.discover(); a != last || !one.request(a) {
		t.Fatalf("%v was offered or refused, want %v", a, last)
	}
	const discover = dhcpv4.MessageTypeDiscover
	if m := other.dhcp(200*time.Millisecond, discover); m != nil {
		t.Errorf("%v, while all addresses are of machines that are there", m)
	}
	leaves.file.Close()
	var offer *dhcpv4.DHCPv4
	await(t, "the address of who has left", func() bool {
		offer = other.dhcp(200*time.Millisecond, discover)
		return offer != nil
	})
	if got := offer.YourIPAddr.String(); got != leasedAddr(0).String() {
		t.Errorf("%v was offered, want %v", got, leasedAddr(0))
	}
}
