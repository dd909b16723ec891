package dataplane

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/slirp4netns-go/slirp4netns/parent/api"
	"github.com/slirp4netns-go/slirp4netns/parent/hostfwd"
)

// Control is what the control socket does to a Plane.
type Control struct{ p *Plane }

var _ api.Backend = Control{}

// Control returns it.
func (p *Plane) Control() Control { return Control{p} }

// AddForward implements api.Backend.
func (c Control) AddForward(f api.Forward) (api.Forward, error) {
	e, err := c.p.fwd.Add(hostfwd.Rule{
		Network: f.Proto,
		Host:    netip.AddrPortFrom(f.HostAddr, f.HostPort),
		End:     f.HostPortEnd,
		Guest:   netip.AddrPortFrom(f.GuestAddr, f.GuestPort),
	})
	if err != nil {
		return f, err
	}
	return forward(e), nil
}

// forward is e as the control socket shows it.
func forward(e hostfwd.Entry) api.Forward {
	return api.Forward{
		ID:          e.ID,
		Proto:       e.Network,
		HostAddr:    e.Host.Addr(),
		HostPort:    e.Host.Port(),
		HostPortEnd: e.End,
		GuestAddr:   e.Guest.Addr(),
		GuestPort:   e.Guest.Port(),
	}
}

// RemoveForward implements api.Backend.
func (c Control) RemoveForward(id int, drain bool) error {
	err := c.p.fwd.Remove(id, !drain)
	if errors.Is(err, hostfwd.ErrUnknown) {
		return fmt.Errorf("forward %d: %w", id, api.ErrUnknown)
	}
	return err
}

// Forwards implements api.Backend.
func (c Control) Forwards() []api.Forward {
	entries := c.p.fwd.List()
	list := make([]api.Forward, len(entries))
	for i, e := range entries {
		list[i] = forward(e)
	}
	return list
}

// DefaultGuest implements api.Backend.
func (c Control) DefaultGuest() netip.Addr { return c.p.cfg.Recommended }
