package dhcp

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	none     = dhcpv4.MessageTypeNone
	discover = dhcpv4.MessageTypeDiscover
	offer    = dhcpv4.MessageTypeOffer
	ask      = dhcpv4.MessageTypeRequest
	ack      = dhcpv4.MessageTypeAck
	nak      = dhcpv4.MessageTypeNak
	decline  = dhcpv4.MessageTypeDecline
	release  = dhcpv4.MessageTypeRelease
	inform   = dhcpv4.MessageTypeInform
)

const self = "10.0.2.2"

// rig is a server with a clock that the test moves.
type rig struct {
	*Server
	t    *testing.T
	time time.Time
}

func newRig(t *testing.T, network string) *rig {
	p := netip.MustParsePrefix(network)
	at := func(n byte) netip.Addr {
		a := p.Addr().As4()
		a[3] += n
		return netip.AddrFrom4(a)
	}
	r := &rig{t: t, time: time.Unix(1e9, 0), Server: New(Config{
		Network: p, Gateway: at(2), Nameserver: at(3), First: at(15), Reserved: []netip.Addr{at(100)}, MTU: 1500,
	})}
	r.now = func() time.Time { return r.time }
	return r
}

// client is what a message says.
type client struct {
	id      int // its Ethernet address
	kind    dhcpv4.MessageType
	current string // ciaddr
	wanted  string // option 50
	server  string // option 54
	port    Port
	change  func(*dhcpv4.DHCPv4)
}

func (c client) message() *dhcpv4.DHCPv4 {
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: 1, TransactionID: dhcpv4.TransactionID{1, 2, 3, byte(c.id)},
		ClientHWAddr: net.HardwareAddr{2, 0, 0, 0, byte(c.id >> 8), byte(c.id)},
		ClientIPAddr: net.ParseIP(c.current), Options: dhcpv4.Options{},
	}
	if c.kind != none {
		m.UpdateOption(dhcpv4.OptMessageType(c.kind))
	}
	if c.wanted != "" {
		m.UpdateOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(c.wanted)))
	}
	if c.server != "" {
		m.UpdateOption(dhcpv4.OptServerIdentifier(net.ParseIP(c.server)))
	}
	if c.change != nil {
		c.change(m)
	}
	return m
}

// send returns the reply, nil when there is none.
func (r *rig) send(c client) (*dhcpv4.DHCPv4, netip.AddrPort) {
	r.t.Helper()
	b, to, ok := r.Handle(c.message().ToBytes(), c.port)
	if !ok {
		return nil, to
	}
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		r.t.Fatalf("the reply: %v", err)
	}
	if len(b) != replySize {
		r.t.Errorf("a reply of %d bytes, want %d", len(b), replySize)
	}
	return m, to
}

// want sends a message and expects "OFFER 10.0.2.15", "ACK …", "NAK" or "".
func (r *rig) want(reply string, c client) {
	r.t.Helper()
	m, _ := r.send(c)
	got := ""
	if m != nil {
		got = m.MessageType().String()
		if a := address(m.YourIPAddr); a.IsValid() {
			got += " " + a.String()
		}
	}
	if got != reply {
		r.t.Errorf("%v of client %d (ciaddr %s, wants %s, server %s): %q, want %q", c.kind, c.id, c.current, c.wanted, c.server, got, reply)
	}
}

// bind takes a client through the whole exchange.
func (r *rig) bind(id int, addr string) {
	r.t.Helper()
	r.want("OFFER "+addr, client{id: id, kind: discover})
	r.want("ACK "+addr, client{id: id, kind: ask, wanted: addr, server: self})
}

func TestExchange(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	r.bind(1, "10.0.2.15")
	r.bind(2, "10.0.2.16")
	r.bind(1, "10.0.2.15") // the same client
	r.want("ACK 10.0.2.16", client{id: 2, kind: ask, current: "10.0.2.16"})
	r.want("", client{id: 1, kind: release, current: "10.0.2.16"}) // not its own
	r.bind(3, "10.0.2.17")
	r.want("", client{id: 1, kind: release, current: "10.0.2.15"})
	r.bind(1, "10.0.2.15") // nobody wanted it meanwhile
	r.want("", client{id: 1, kind: release, current: "10.0.2.15"})
	r.bind(4, "10.0.2.15")
	r.bind(1, "10.0.2.18")
}

// What is requested is granted if it may be (RFC 2131, section 4.3.2).
func TestRequest(t *testing.T) {
	for _, c := range []struct {
		name  string
		reply string
		client
	}{
		{"a free address, in an offer", "OFFER 10.0.2.20", client{kind: discover, wanted: "10.0.2.20"}},
		{"beyond the C program's sixteen", "OFFER 10.0.2.200", client{kind: discover, wanted: "10.0.2.200"}},
		{"a taken one, in an offer", "OFFER 10.0.2.16", client{kind: discover, wanted: "10.0.2.15"}},
		{"the gateway's, in an offer", "OFFER 10.0.2.16", client{kind: discover, wanted: self}},
		{"rebooted, free", "ACK 10.0.2.20", client{kind: ask, wanted: "10.0.2.20"}},
		{"rebooted, taken", "NAK", client{kind: ask, wanted: "10.0.2.15"}},
		{"rebooted, another network", "NAK", client{kind: ask, wanted: "192.168.1.5"}},
		{"renewed, never given", "ACK 10.0.2.20", client{kind: ask, current: "10.0.2.20"}},
		{"renewed, taken", "NAK", client{kind: ask, current: "10.0.2.15"}},
		{"below the pool", "NAK", client{kind: ask, wanted: "10.0.2.14"}},
		{"the gateway's", "NAK", client{kind: ask, wanted: self}},
		{"the nameserver's", "NAK", client{kind: ask, wanted: "10.0.2.3"}},
		{"the one of --configure", "NAK", client{kind: ask, wanted: "10.0.2.100"}},
		{"the network's", "NAK", client{kind: ask, wanted: "10.0.2.0"}},
		{"broadcast", "NAK", client{kind: ask, wanted: "10.0.2.255"}},
		{"the last one", "ACK 10.0.2.254", client{kind: ask, wanted: "10.0.2.254"}},
		{"another server's", "", client{kind: ask, wanted: "10.0.2.20", server: "10.0.2.9"}},
		{"nothing", "", client{kind: ask}},
		{"an offer", "", client{kind: offer}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "10.0.2.0/24")
			r.bind(1, "10.0.2.15")
			c.id = 2
			r.want(c.reply, c.client)
		})
	}
}

// Who takes another server's offer leaves ours to others.
func TestOtherServer(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	r.want("OFFER 10.0.2.15", client{id: 1, kind: discover})
	r.want("", client{id: 1, kind: ask, wanted: "192.168.1.5", server: "192.168.1.1"})
	r.want("OFFER 10.0.2.15", client{id: 2, kind: discover})
}

func TestExpiry(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	r.bind(1, "10.0.2.15")
	r.time = r.time.Add(leaseTime - 1)
	r.want("OFFER 10.0.2.16", client{id: 2, kind: discover})
	r.time = r.time.Add(1)
	r.want("OFFER 10.0.2.15", client{id: 3, kind: discover}) // it has not renewed
	r.want("NAK", client{id: 1, kind: ask, current: "10.0.2.15"})
	r.time = r.time.Add(offerTime)
	r.want("OFFER 10.0.2.15", client{id: 4, kind: discover}) // it has not taken the offer
}

func TestDecline(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	r.bind(1, "10.0.2.15")
	r.want("", client{id: 2, kind: decline, wanted: "10.0.2.15", server: self}) // not its own
	r.bind(1, "10.0.2.15")
	r.want("", client{id: 1, kind: decline, wanted: "10.0.2.15", server: self})
	r.bind(1, "10.0.2.16")
	r.want("NAK", client{id: 3, kind: ask, wanted: "10.0.2.15"})
	r.time = r.time.Add(declineTime)
	r.want("ACK 10.0.2.15", client{id: 3, kind: ask, wanted: "10.0.2.15"})
}

// BOOTP clients do not know of options, nor ask twice.
func TestBOOTP(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	for name, b := range map[string][]byte{
		"no cookie":      client{id: 1}.message().ToBytes()[:bootpSize],
		"an empty one":   append(client{id: 1}.message().ToBytes()[:bootpSize], make([]byte, 64)...),
		"no type option": client{id: 1}.message().ToBytes(),
	} {
		reply, to, ok := r.Handle(b, 0)
		if !ok {
			t.Fatalf("%s: no reply", name)
		}
		m, err := dhcpv4.FromBytes(reply)
		if err != nil || m.MessageType() != ack || m.YourIPAddr.String() != "10.0.2.15" || to.String() != "255.255.255.255:68" {
			t.Errorf("%s: %v, %v to %v", name, m, err, to)
		}
	}
}

func TestPoolGrowsWithTheNetwork(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	var got []string
	for i := 1; ; i++ {
		m, _ := r.send(client{id: i, kind: discover})
		if m == nil {
			break
		}
		a := m.YourIPAddr.String()
		r.want("ACK "+a, client{id: i, kind: ask, wanted: a, server: self})
		got = append(got, a)
	}
	if n := 254 - 15 + 1 - 1; len(got) != n || slices.Contains(got, "10.0.2.100") || got[n-1] != "10.0.2.254" {
		t.Errorf("%d addresses, want %d, without 10.0.2.100: %v", len(got), n, got)
	}
	r = newRig(t, "10.0.2.128/25")
	r.want("OFFER 10.0.2.143", client{id: 1, kind: discover})
	r.want("NAK", client{id: 1, kind: ask, wanted: "10.0.2.255"})
	r.want("NAK", client{id: 1, kind: ask, wanted: "10.0.2.228"})
	r = newRig(t, "128.0.0.0/1")
	r.want("ACK 255.255.255.254", client{id: 1, kind: ask, wanted: "255.255.255.254"})
}

// A guest that makes up clients fills the table, and no more.
func TestTableIsBounded(t *testing.T) {
	r := newRig(t, "10.0.0.0/8")
	for i := range 3 * maxLeases {
		if m, _ := r.send(client{id: i + 1, kind: discover}); m == nil {
			t.Fatalf("client %d has no offer", i)
		}
	}
	if n := len(r.pool.byAddr); n != maxLeases || len(r.pool.byOwner) != n {
		t.Errorf("%d leases of %d owners, want %d", n, len(r.pool.byOwner), maxLeases)
	}
	for i := range maxLeases {
		a := fmt.Sprintf("10.1.%d.%d", i>>8, i&255)
		r.want("ACK "+a, client{id: i + 1, kind: ask, wanted: a})
	}
	r.want("", client{id: 9999, kind: discover})
	r.want("ACK 10.1.0.0", client{id: 1, kind: ask, current: "10.1.0.0"})
	r.want("", client{id: 2, kind: release, current: "10.1.0.1"})
	r.want("OFFER 10.0.0.15", client{id: 9999, kind: discover})
	r.time = r.time.Add(leaseTime)
	r.want("OFFER 10.0.0.15", client{id: 9999, kind: discover})
}

// The reply's fields and options.
func TestReply(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	r.cfg.Search = func() []string { return []string{"a.test", "..", strings.Repeat("x", 64), "b.a.test."} }
	m, to := r.send(client{id: 1, kind: discover, change: func(m *dhcpv4.DHCPv4) {
		m.SetBroadcast()
		m.UpdateOption(dhcpv4.OptClientIdentifier([]byte("me")))
		m.UpdateOption(dhcpv4.OptHostName("guest"))
		m.UpdateOption(dhcpv4.OptParameterRequestList(dhcpv4.OptionInterfaceMTU, dhcpv4.OptionHostName, dhcpv4.OptionDomainName, dhcpv4.OptionDNSDomainSearchList))
	}})
	if m == nil {
		t.Fatal("no reply")
	}
	got := []string{
		m.OpCode.String(), m.TransactionID.String(), m.ClientHWAddr.String(), m.ServerIPAddr.String(), m.ClientIPAddr.String(),
		m.ServerIdentifier().String(), m.SubnetMask().String(), m.Router()[0].String(), m.DNS()[0].String(),
		m.IPAddressLeaseTime(0).String(), m.HostName(), m.DomainName(), strings.Join(m.DomainSearch().Labels, " "),
		fmt.Sprint(m.Options.Get(dhcpv4.OptionInterfaceMTU)), string(m.Options.Get(dhcpv4.OptionClientIdentifier)),
		fmt.Sprint(m.IsBroadcast()), to.String(), m.ServerHostName + m.BootFileName,
	}
	want := []string{
		"BootReply", "0x01020301", "02:00:00:00:00:01", self, "0.0.0.0",
		self, "ffffff00", self, "10.0.2.3",
		"24h0m0s", "guest", "a.test", "a.test b.a.test",
		"[5 220]", "me", "true", "255.255.255.255:68", "",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if m, _ := r.send(client{id: 1, kind: discover}); len(m.Options) != 7 || m.Options.Get(dhcpv4.OptionInterfaceMTU) == nil {
		t.Errorf("options without being asked: %v", m.Options)
	}
}

func TestReplyWithoutNameserver(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	r.cfg.Nameserver = netip.Addr{}
	if m, _ := r.send(client{id: 1, kind: discover}); m.DNS() != nil {
		t.Errorf("nameservers %v, want none", m.DNS())
	}
}

// Where replies go (RFC 2131, section 4.1).
func TestDestination(t *testing.T) {
	for _, c := range []struct {
		name string
		want string
		client
	}{
		{"selecting", "255.255.255.255:68", client{kind: ask, wanted: "10.0.2.20", server: self}},
		{"renewing", "10.0.2.20:68", client{kind: ask, current: "10.0.2.20"}},
		{"refused", "255.255.255.255:68", client{kind: ask, current: "10.0.2.3"}},
		{"informed", "10.0.2.100:68", client{kind: inform, current: "10.0.2.100"}},
		{"BOOTP", "255.255.255.255:68", client{kind: none, current: "10.0.2.20"}},
		{"relayed", "10.0.2.77:67", client{kind: discover, change: func(m *dhcpv4.DHCPv4) { m.GatewayIPAddr = net.IPv4(10, 0, 2, 77) }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.id = 1
			m, to := newRig(t, "10.0.2.0/24").send(c.client)
			if m == nil || to.String() != c.want {
				t.Errorf("reply %v to %v, want it to %s", m, to, c.want)
			}
		})
	}
}

func TestInform(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	m, _ := r.send(client{id: 1, kind: inform, current: "10.0.2.100"})
	if m.MessageType() != ack || !m.YourIPAddr.IsUnspecified() || m.IPAddressLeaseTime(0) != 0 || m.Router() == nil {
		t.Errorf("%v: want an ACK without address and lease", m)
	}
	if n := len(r.pool.byAddr); n != 0 {
		t.Errorf("%d leases, want none", n)
	}
}

// What is not for us is met with silence, and what is too much is left out.
func TestStrangeMessages(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	good := client{id: 1, kind: discover}.message().ToBytes()
	edit := func(i int, v byte) []byte {
		b := bytes.Clone(good)
		b[i] = v
		return b
	}
	for name, b := range map[string][]byte{
		"empty":          {},
		"short":          good[:bootpSize-1],
		"long":           append(bytes.Clone(good), make([]byte, maxMessage)...),
		"a reply":        edit(0, 2),
		"infiniband":     edit(1, 32),
		"short address":  edit(2, 5),
		"group address":  edit(28, 1),
		"open option":    append(bytes.Clone(good[:bootpSize+4]), 53, 200, 1),
		"unknown kind":   edit(bootpSize+6, 77),
		"nobody's":       append(append(bytes.Clone(good[:28]), make([]byte, 16)...), good[44:]...),
		"release of air": client{id: 1, kind: release, current: "10.0.2.15"}.message().ToBytes(),
		"decline of air": client{id: 1, kind: decline, wanted: "10.0.2.15"}.message().ToBytes(),
	} {
		if _, _, ok := r.Handle(b, 0); ok {
			t.Errorf("%s: answered", name)
		}
	}
	r.cfg.Search = func() []string { return []string{strings.Repeat("d.", 90) + "x"} }
	m, _ := r.send(client{id: 1, kind: discover, change: func(m *dhcpv4.DHCPv4) { // send checks the size
		m.UpdateOption(dhcpv4.OptClientIdentifier(bytes.Repeat([]byte("i"), maxEcho)))
		m.UpdateOption(dhcpv4.OptHostName(strings.Repeat("h", maxEcho)))
		m.UpdateOption(dhcpv4.OptParameterRequestList(dhcpv4.OptionHostName, dhcpv4.OptionDomainName, dhcpv4.OptionDNSDomainSearchList))
	}})
	if m.Options.Has(dhcpv4.OptionDNSDomainSearchList) || m.Router() == nil {
		t.Errorf("want the search list left out: %v", m.Options)
	}
}
