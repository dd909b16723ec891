package link

import (
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// FuzzNeighbourMessage: whatever a guest says of itself by neighbour messages,
// nobody but us is at an address of ours, and no group is a neighbour.
func FuzzNeighbourMessage(f *testing.F) {
	address := func(s string) []byte { return netip.MustParseAddr(s).AsSlice() }
	message := func(kind byte, target string, options ...byte) []byte {
		return append(append([]byte{kind, 0, 0, 0, 0x60, 0, 0, 0}, address(target)...), options...)
	}
	ofSource, ofTarget := []byte{1, 1, 2, 0, 0, 0, 0, 1}, []byte{2, 1, 2, 0, 0, 0, 0, 1}
	f.Add(address("fd00::100"), message(135, "fd00::2", ofSource...))
	f.Add(address("fd00::100"), message(136, "fd00::100", ofTarget...))
	f.Add(address("fe80::100"), message(136, "fd00::100", ofTarget...))
	f.Add(address("fd00::100"), message(136, "fd00::100"))
	f.Add(address("fd00::100"), message(136, "fd00::2", ofTarget...))
	f.Add(address("fd00::2"), message(136, "fd00::2", ofTarget...))
	f.Add(address("::"), message(135, "fd00::100"))
	f.Add(address("ff02::1"), message(136, "ff02::1", ofTarget...))
	f.Add(address("fd00::100"), message(136, "fd00::100", 5, 0, 1, 2, 3, 4, 5, 6))
	f.Add(address("fd00::100"), message(136, "fd00::100", 9, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 1))
	f.Fuzz(func(t *testing.T, src, message []byte) {
		if len(src) != 16 || len(message) < header.ICMPv6MinimumSize || len(message) > 1024 {
			return
		}
		h := newHarness(t, 0)
		asked := netip.MustParseAddr("fd00::101")
		h.e.neigh.wait(asked, make([]byte, ethLen))
		p := packet6(uint8(header.ICMPv6ProtocolNumber), message)
		copy(p[8:24], src)
		setSum6(p)
		h.get(VnetHdr{}, ethernet(etherIPv6, p))
		n := h.e.neigh
		n.mu.Lock()
		defer n.mu.Unlock()
		for a := range n.table {
			if h.e.ours6(a) || a.IsMulticast() || a.IsUnspecified() || a.IsLoopback() || a.Is4In6() {
				t.Errorf("%v is a neighbour after % x", a, message)
			}
		}
	})
}
