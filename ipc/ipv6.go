package ipc

import "google.golang.org/protobuf/proto"

// WithoutIPv6 is c with what is left of it where the kernel has no IPv6, or
// none for us.
func (c *Configuration) WithoutIPv6() *Configuration {
	out := proto.Clone(c).(*Configuration)
	out.Ipv6, out.Addresses, out.Routes = false, nil, nil
	for _, p := range c.GetAddresses() {
		if len(p.GetAddress()) == 4 {
			out.Addresses = append(out.Addresses, p)
		}
	}
	for _, r := range c.GetRoutes() {
		if len(r.GetGateway()) == 4 {
			out.Routes = append(out.Routes, r)
		}
	}
	return out
}
