package dns

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHealth(t *testing.T) {
	var h health
	now := time.Unix(1e9, 0)
	a, b, c := netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53"), netip.MustParseAddrPort("192.0.2.3:53")
	list := []netip.AddrPort{a, b, c}
	want := func(what string, probe netip.AddrPort, order ...netip.AddrPort) {
		t.Helper()
		got, p := h.order(list, now)
		if !cmp.Equal(got, order, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })) || p != probe {
			t.Errorf("%s: %v, probe %v; want %v, probe %v", what, got, p, order, probe)
		}
	}
	none := netip.AddrPort{}
	want("at first", none, a, b, c)
	if !h.failed(a, now, now) || h.failed(a, now, now) {
		t.Error("failed twice: want true once")
	}
	want("a is down", none, b, c, a)
	now = now.Add(probeEvery)
	want("time to look", a, b, c, a)
	want("not again at once", none, b, c, a)
	h.answered(a, now)
	want("a is back", none, a, b, c)
	if h.failed(a, now.Add(-time.Second), now) {
		t.Error("it has answered since: want it up")
	}
	for _, r := range list {
		h.failed(r, now, now)
	}
	want("all are down", none, a, b, c)
	list = []netip.AddrPort{b, a}
	want("another list", none, b, a)
	h.failed(c, now, now)
	h.answered(c, now)
	want("not about c", none, b, a)
}
