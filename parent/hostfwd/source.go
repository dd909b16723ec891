package hostfwd

import "net/netip"

// Guest is one IP version of the guest's network. The zero value is one that
// the guest does not have.
type Guest struct {
	Gateway netip.Addr
	Prefix  netip.Prefix
}

// ok tells whether the guest has this IP version.
func (g Guest) ok() bool { return g.Gateway.IsValid() }

// version is the part of the configuration for a's IP version.
func (c *Config) version(a netip.Addr) Guest {
	if a.Is4() {
		return c.Guest4
	}
	return c.Guest6
}

// seen is how a guest at address guest sees a client: as it is, or as the
// gateway where an answer would not find its way back.
func (c *Config) seen(client, guest netip.Addr) netip.Addr {
	g := c.version(guest)
	switch {
	case client.Is4() != guest.Is4(),
		client.IsLoopback(),
		client.Is6() && client.IsLinkLocalUnicast(),
		g.Prefix.Contains(client):
		return g.Gateway
	}
	return client.WithZone("")
}
