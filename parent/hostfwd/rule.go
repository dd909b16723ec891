package hostfwd

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Rule says which port of the host leads where.
type Rule struct {
	// Network is "tcp" or "udp", or one of them with "4" or "6" at the end,
	// which limits the host's side to one IP version. Without, a Rule for ::
	// takes both.
	Network string
	// Host is the address to listen on. Port 0 takes a free one.
	Host netip.AddrPort
	// End is the last port of a range that begins with Host's; 0: no range.
	End uint16
	// Guest is where the first port leads to; the others follow.
	Guest netip.AddrPort
}

// Entry is a Rule that is in force.
type Entry struct {
	ID int // from 1; never used again
	Rule
}

// ErrUnknown is returned for an ID that no rule has.
var ErrUnknown = errors.New("there is no such forward")

// udp tells the protocol.
func (r *Rule) udp() bool { return strings.HasPrefix(r.Network, "udp") }

// last is the last port.
func (r *Rule) last() uint16 { return max(r.End, r.Host.Port()) }

// count is the number of ports.
func (r *Rule) count() int { return int(r.last()) - int(r.Host.Port()) + 1 }

// hostPorts is the address and port, or the range of ports, as people read it.
func (r *Rule) hostPorts() string {
	s := r.Host.String()
	if r.count() > 1 {
		s += fmt.Sprintf("-%d", r.End)
	}
	return s + "/" + r.Network
}

// check finds what no kernel needs to be asked for.
func (r *Rule) check() error {
	host := r.Host.Addr()
	switch r.Network {
	case "tcp", "udp":
	case "tcp4", "udp4":
		if !host.Is4() {
			return fmt.Errorf("%s is not an IPv4 address, which %s wants", host, r.Network)
		}
	case "tcp6", "udp6":
		if !host.Is6() {
			return fmt.Errorf("%s is not an IPv6 address, which %s wants", host, r.Network)
		}
	default:
		return fmt.Errorf("protocol %q, want tcp, tcp4, tcp6, udp, udp4 or udp6", r.Network)
	}
	switch {
	case r.End != 0 && r.End < r.Host.Port():
		return fmt.Errorf("the range %d-%d ends before it begins", r.Host.Port(), r.End)
	case r.End != 0 && r.Host.Port() == 0:
		return errors.New("a range cannot begin with port 0")
	case r.Guest.Port() == 0:
		return errors.New("the guest's port is 0")
	case int(r.Guest.Port())+r.count()-1 > 65535:
		return fmt.Errorf("the range of %d ports leads beyond the guest's port 65535", r.count())
	}
	return nil
}

// overlaps tells whether both want the same port of the same address.
func (r *Rule) overlaps(o *Rule) bool {
	if r.udp() != o.udp() || r.Host.Port() > o.last() || o.Host.Port() > r.last() {
		return false
	}
	return r.covers(o.Host.Addr()) || o.covers(r.Host.Addr())
}

// covers tells whether a socket on r's address takes what is sent to a.
func (r *Rule) covers(a netip.Addr) bool {
	host := r.Host.Addr()
	if host == a {
		return true
	}
	if !host.IsUnspecified() {
		return false
	}
	return host.Is4() == a.Is4() || host.Is6() && !strings.HasSuffix(r.Network, "6")
}
