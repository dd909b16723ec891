package ipc

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Bounds of an Ethernet interface over a TAP.
const (
	maxName = 15    // IFNAMSIZ-1
	maxMTU  = 65521 // 65535 less an Ethernet header
)

// Check refuses what a parent of this version does not send.
func (r *TapRequest) Check() error {
	if err := checkMessage(r, r.GetVersion()); err != nil {
		return err
	}
	if n := len(r.GetName()); n > maxName {
		return fmt.Errorf("ipc: interface name of %d bytes, want at most %d", n, maxName)
	}
	if r.Configuration == nil {
		return nil
	}
	return r.Configuration.check()
}

// Check refuses what a child of this version does not send in answer to req.
func (r *TapReply) Check(req *TapRequest) error {
	if err := checkMessage(r, r.GetVersion()); err != nil {
		return err
	}
	if r.GetName() != req.GetName() && !Template(req.GetName()) {
		return fmt.Errorf("ipc: TAP %q, asked for %q", r.GetName(), req.GetName())
	}
	if extra := r.GetOffloads() &^ req.GetOffloads(); extra != 0 {
		return fmt.Errorf("ipc: offloads %#x that nobody asked for", extra)
	}
	if r.GetEndsWithNamespace() && !r.GetMade() {
		return errors.New("ipc: another's TAP cannot end with the namespace")
	}
	if r.GetEndsWithNamespace() && req.GetKeepNamespace() {
		return errors.New("ipc: a TAP that ends with the namespace was not asked for")
	}
	if (r.Configuration == nil) != (req.Configuration == nil) {
		return errors.New("ipc: configured without being asked, or the reverse")
	}
	if r.Configuration == nil {
		return nil
	}
	got, want := r.Configuration, proto.Clone(req.Configuration).(*Configuration)
	if err := got.check(); err != nil {
		return err
	}
	// The kernel may have no IPv6.
	if want.Ipv6 && !got.Ipv6 {
		want = want.WithoutIPv6()
	}
	// Where the MAC address is left to the kernel, the reply has its choice.
	if len(want.Mac) == 0 {
		want.Mac = got.Mac
	}
	if !proto.Equal(got, want) {
		return fmt.Errorf("ipc: configured %v, asked for %v", got, want)
	}
	return nil
}

// Template tells whether the kernel is to complete an interface's name:
// "tap%d", or nothing at all.
func Template(name string) bool { return name == "" || strings.Contains(name, "%") }

func (c *Configuration) check() error {
	if m := c.GetMtu(); m > maxMTU {
		return fmt.Errorf("ipc: MTU %d, want at most %d", m, maxMTU)
	}
	if n := len(c.GetMac()); n != 0 && n != 6 {
		return fmt.Errorf("ipc: MAC address of %d bytes, want 6", n)
	}
	for _, p := range c.GetAddresses() {
		a, err := p.Netip()
		if err != nil {
			return err
		}
		if !a.Addr().Is4() && !c.GetIpv6() {
			return fmt.Errorf("ipc: address %v without IPv6", a)
		}
	}
	for _, r := range c.GetRoutes() {
		to, _, err := r.Netip()
		if err != nil {
			return err
		}
		if !to.Addr().Is4() && !c.GetIpv6() {
			return fmt.Errorf("ipc: route to %v without IPv6", to)
		}
	}
	return nil
}

// checkMessage is what both messages have in common.
func checkMessage(m proto.Message, version uint32) error {
	if version != Version {
		return fmt.Errorf("ipc: protocol version %d, want %d: parent and child are not of the same installation", version, Version)
	}
	return checkUnknown(m.ProtoReflect())
}

// checkUnknown refuses fields that this version does not know, at any depth.
func checkUnknown(m protoreflect.Message) (err error) {
	if len(m.GetUnknown()) > 0 {
		return fmt.Errorf("ipc: unknown fields in %s", m.Descriptor().Name())
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = checkUnknown(v.List().Get(i).Message())
			}
		default:
			err = checkUnknown(v.Message())
		}
		return err == nil
	})
	return err
}
