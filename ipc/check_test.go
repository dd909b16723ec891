package ipc

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func TestRequestCheck(t *testing.T) {
	v6 := &Prefix{Address: make([]byte, 16), Bits: 64}
	for _, c := range []struct {
		name   string
		change func(*TapRequest)
		want   string // empty: accepted
	}{
		{"right", func(*TapRequest) {}, ""},
		{"nothing to configure", func(r *TapRequest) { r.Configuration = nil }, ""},
		{"template", func(r *TapRequest) { r.Name = "tap%d" }, ""},
		{"IPv6", func(r *TapRequest) {
			r.Configuration.Ipv6 = true
			r.Configuration.Addresses = append(r.Configuration.Addresses, v6)
		}, ""},
		{"long name", func(r *TapRequest) { r.Name = strings.Repeat("x", 16) }, "16 bytes"},
		{"MTU", func(r *TapRequest) { r.Configuration.Mtu = 65522 }, "MTU 65522"},
		{"MAC", func(r *TapRequest) { r.Configuration.Mac = make([]byte, 7) }, "7 bytes"},
		{"address", func(r *TapRequest) { r.Configuration.Addresses[0].Address = make([]byte, 5) }, "5 bytes"},
		{"prefix length", func(r *TapRequest) { r.Configuration.Addresses[0].Bits = 33 }, "33 bits"},
		{"IPv6 without being told", func(r *TapRequest) { r.Configuration.Addresses[0] = v6 }, "without IPv6"},
		{"IPv6 route without being told", func(r *TapRequest) {
			r.Configuration.Routes[0] = &Route{Destination: v6, Gateway: make([]byte, 16)}
		}, "without IPv6"},
		{"gateway of the other family", func(r *TapRequest) { r.Configuration.Routes[0].Gateway = make([]byte, 16) }, "16 bytes"},
		{"no gateway", func(r *TapRequest) { r.Configuration.Routes[0].Gateway = nil }, "0 bytes"},
		{"no destination", func(r *TapRequest) { r.Configuration.Routes[0].Destination = nil }, "0 bytes"},
		{"unknown field", func(r *TapRequest) {
			r.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 50, protowire.VarintType), 1))
		}, "unknown fields in TapRequest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request()
			c.change(r)
			// As it arrives at the child.
			b, err := proto.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			r = &TapRequest{}
			if err := proto.Unmarshal(b, r); err != nil {
				t.Fatal(err)
			}
			err = r.Check()
			if c.want == "" && err != nil {
				t.Error(err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
