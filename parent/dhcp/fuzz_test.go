package dhcp

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// FuzzHandle: no message of the guest does harm, and each reply can be read.
func FuzzHandle(f *testing.F) {
	for _, c := range []client{
		{id: 1, kind: discover}, {id: 1, kind: ask, wanted: "10.0.2.15", server: self}, {id: 2, kind: ask, current: "10.0.2.16"},
		{id: 1, kind: decline, wanted: "10.0.2.15"}, {id: 1, kind: release, current: "10.0.2.15"}, {id: 3, kind: inform, current: "10.0.2.100"}, {id: 4},
	} {
		f.Add(c.message().ToBytes(), client{id: 5, kind: discover}.message().ToBytes())
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := New(Config{
			Network: netip.MustParsePrefix("10.0.2.0/24"), Gateway: netip.MustParseAddr(self), Nameserver: netip.MustParseAddr("10.0.2.3"),
			First: netip.MustParseAddr("10.0.2.15"), MTU: 65520, Search: func() []string { return []string{"a.test"} },
		})
		for _, b := range [][]byte{first, second, first} {
			reply, to, ok := s.Handle(b, 0)
			if !ok {
				continue
			}
			m, err := dhcpv4.FromBytes(reply)
			if err != nil || len(reply) != replySize || !to.Addr().Is4() {
				t.Fatalf("%d bytes to %v: %v", len(reply), to, err)
			}
			a := address(m.YourIPAddr)
			if a.IsValid() && !s.pool.contains(a) {
				t.Errorf("%v is not the server's to give", a)
			}
		}
		if len(s.pool.byAddr) > 3 {
			t.Errorf("%d leases after three messages", len(s.pool.byAddr))
		}
	})
}

// FuzzSearch: whatever the domains of the host's resolv.conf, a client that
// asks for them has a reply that it can read.
func FuzzSearch(f *testing.F) {
	f.Add("a.test b.test.")
	f.Add(".. x..y " + strings.Repeat("d", 64))
	f.Add(strings.Repeat("d.e ", 60))
	asks := client{id: 1, kind: discover, change: func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptParameterRequestList(dhcpv4.OptionDomainName, dhcpv4.OptionDNSDomainSearchList))
	}}.message().ToBytes()
	f.Fuzz(func(t *testing.T, line string) {
		domains := strings.Fields(line)
		s := New(Config{
			Network: netip.MustParsePrefix("10.0.2.0/24"), Gateway: netip.MustParseAddr(self), Nameserver: netip.MustParseAddr("10.0.2.3"),
			First: netip.MustParseAddr("10.0.2.15"), MTU: 1500, Search: func() []string { return domains },
		})
		reply, _, ok := s.Handle(asks, 0)
		if !ok {
			t.Fatal("no reply")
		}
		m, err := dhcpv4.FromBytes(reply)
		if err != nil || len(reply) != replySize || m.Router() == nil {
			t.Fatalf("%d bytes, %v: %v", len(reply), err, m)
		}
		list := m.DomainSearch()
		if list == nil {
			return
		}
		if len(list.Labels) == 0 || m.DomainName() != list.Labels[0] {
			t.Errorf("%q, and the first %q", list.Labels, m.DomainName())
		}
		for _, d := range list.Labels {
			if !slices.Contains(domains, d) && !slices.Contains(domains, d+".") {
				t.Errorf("%q is not of %q", d, domains)
			}
		}
	})
}
