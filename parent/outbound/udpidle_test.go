package outbound

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/flowtable"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// The times are promised (docs/fidelity.md).
func TestUDPIdleTimes(t *testing.T) {
	if udpIdle != 240*time.Second || udpIdleDNS != 10*time.Second {
		t.Errorf("a mapping lives for %v, after an answer of a DNS server for %v, want 240 s and 10 s", udpIdle, udpIdleDNS)
	}
}

// tickOfTable is what an end may be late by (flowtable).
const tickOfTable = 5 * time.Second

// A mapping lives for its time after the last datagram, whoever sent that, and
// no longer. The time is that of DNS only where nothing but DNS was asked for.
func TestUDPMappingExpires(t *testing.T) {
	guest := func(p *idlePeer) { p.toPeer() }
	asks := func(p *idlePeer) { p.toDNS() }
	peer := func(p *idlePeer) { p.fromPeer() }
	for name, c := range map[string]struct {
		first  []func(*idlePeer)
		repeat func(*idlePeer) // before each time is over; nil: nothing
		idle   time.Duration
	}{
		"unanswered":                           {[]func(*idlePeer){guest}, nil, udpIdle},
		"answered":                             {[]func(*idlePeer){guest, peer}, nil, udpIdle},
		"the guest goes on":                    {[]func(*idlePeer){guest}, guest, udpIdle},
		"the peer goes on":                     {[]func(*idlePeer){guest}, peer, udpIdle},
		"a query without an answer":            {[]func(*idlePeer){asks}, nil, udpIdle},
		"a query with one":                     {[]func(*idlePeer){asks, peer}, nil, udpIdleDNS},
		"answers go on":                        {[]func(*idlePeer){asks, peer}, peer, udpIdleDNS},
		"a query, an answer and another query": {[]func(*idlePeer){asks, peer, asks}, nil, udpIdle},
		"a query, then something else":         {[]func(*idlePeer){asks, peer, guest, peer}, nil, udpIdle},
		"something else, then a query":         {[]func(*idlePeer){guest, peer, asks, peer}, nil, udpIdle},
	} {
		for _, v6 := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newIdlePeer(t, v6)
					for _, do := range c.first {
						do(p)
					}
					f := p.flow()
					if c.repeat != nil {
						for range 5 {
							time.Sleep(c.idle - time.Second)
							c.repeat(p)
							if p.flow() != f {
								t.Fatal("another mapping took its place")
							}
						}
					}
					time.Sleep(c.idle - time.Second)
					synctest.Wait()
					if p.udp.Len() != 1 {
						t.Fatalf("it has ended within %v", c.idle-time.Second)
					}
					time.Sleep(time.Second + tickOfTable)
					synctest.Wait()
					if p.udp.Len() != 0 || !f.closed {
						t.Errorf("it has not ended after %v", c.idle+tickOfTable)
					}
					guest(p)
					if p.flow() == f {
						t.Error("the mapping that has ended is used")
					}
				})
			})
		}
	}
}

// idlePeer is a peer on this host's loopback, and what a guest sends to it.
type idlePeer struct {
	t       *testing.T
	udp     *UDP
	fd      int
	guest   netip.AddrPort
	gateway netip.Addr
	port    uint16
}

func newIdlePeer(t *testing.T, v6 bool) *idlePeer {
	poller, err := poll.New()
	if err != nil {
		t.Fatal(err)
	}
	policy := *closedPolicy
	policy.DisableHostLoopback = false
	p := &idlePeer{t: t, guest: netip.MustParseAddrPort("10.0.2.100:1000"), gateway: policy.Gateway}
	at := loopback4
	if v6 {
		p.guest, p.gateway, at = netip.MustParseAddrPort("[fd00::100]:1000"), policy.Gateway6, loopback6
	}
	p.udp = NewUDP(UDPConfig{
		Policy: &policy, Poller: poller, Worker: poll.NewWorker(), Sender: datagram.New(new(wire)),
		Forwarded: func(netip.AddrPort, netip.AddrPort, []byte, int) bool { return false },
	})
	if p.fd, err = unix.Socket(hostsock.Family(at), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.udp.Close()
		poller.Close()
		unix.Close(p.fd)
	})
	if err := unix.Bind(p.fd, hostsock.Sockaddr(netip.AddrPortFrom(at, 0))); err != nil {
		t.Fatal(err)
	}
	local, _ := hostsock.Names(p.fd)
	p.port = local.Port()
	return p
}

// flow is the guest's.
func (p *idlePeer) flow() (f *udpFlow) {
	p.t.Helper()
	if n := p.udp.Len(); n != 1 {
		p.t.Fatalf("%d mappings, want 1", n)
	}
	for _, el := range p.udp.Flows() {
		if el.Guest != p.guest {
			p.t.Fatalf("a mapping of %v, want one of %v", el.Guest, p.guest)
		}
	}
	p.udp.table.Each(func(_ udpKey, one *udpFlow, _ flowtable.State) { f = one })
	return f
}

func (p *idlePeer) toPeer() { p.send(p.port) }

// toDNS asks where maybe nobody is; that is as good.
func (p *idlePeer) toDNS() { p.send(DNSPort) }

func (p *idlePeer) send(port uint16) {
	b := quoteUDP(p.guest, netip.AddrPortFrom(p.gateway, port), []byte("hello"))
	pkt := link.Packet{Bytes: b, Proto: header.UDPProtocolNumber, HdrLen: header.IPv4MinimumSize}
	if pkt.V6() {
		pkt.HdrLen = header.IPv6MinimumSize
	}
	p.udp.Handle(pkt)
}

// fromPeer answers, and has the poller's event come.
func (p *idlePeer) fromPeer() {
	p.t.Helper()
	f := p.flow()
	own, _ := hostsock.Names(p.fd)
	local, _ := hostsock.Names(f.fd)
	before := f.toGuest.Load()
	if errno := hostsock.SendTo(p.fd, []byte("answer"), netip.AddrPortFrom(own.Addr(), local.Port()), nil); errno != 0 {
		p.t.Fatal(errno)
	}
	f.HandleEvents(poll.In)
	if f.toGuest.Load() == before {
		p.t.Fatal("the answer did not come")
	}
}
