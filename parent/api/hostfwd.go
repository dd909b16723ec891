package api

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Forward is a port of the host that leads into the guest. The order of the
// fields is that of the C program's list.
type Forward struct {
	ID        int        `json:"id"`
	Proto     string     `json:"proto"`
	HostAddr  netip.Addr `json:"host_addr"`
	HostPort  uint16     `json:"host_port"`
	GuestAddr netip.Addr `json:"guest_addr"`
	GuestPort uint16     `json:"guest_port"`
	// HostPortEnd is the last port of a range; 0: there is only one.
	HostPortEnd uint16 `json:"host_port_end,omitempty"`
}

// added is the reply to add_hostfwd. Who names a port knows it.
type added struct {
	ID       int    `json:"id"`
	HostPort uint16 `json:"host_port,omitempty"`
}

func (s *Server) addHostfwd(args arguments) (any, *failure) {
	f, bad := s.forward(args)
	if bad != "" {
		return nil, badRequest("add_hostfwd: bad arguments." + bad)
	}
	got, err := s.backend.AddForward(f)
	if err != nil {
		return nil, badRequest("add_hostfwd: slirp_add_hostfwd failed").because(err)
	}
	a := added{ID: got.ID}
	if f.HostPort == 0 {
		a.HostPort = got.HostPort
	}
	return returned{a}, nil
}

// forward reads the arguments of add_hostfwd, in the C program's order. bad
// names the first one that is none.
//
// slirp4netns: the C program takes ports modulo 65536, and no port 0. A
// missing protocol crashes it.
func (s *Server) forward(args arguments) (f Forward, bad string) {
	f.Proto = args.text("proto")
	switch f.Proto {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		return f, "proto"
	}
	var ok bool
	if f.HostAddr, ok = hostAddr(f.Proto, args.text("host_addr")); !ok {
		return f, "host_addr"
	}
	if f.HostPort, ok = args.port("host_port"); !ok {
		return f, "host_port"
	}
	if f.GuestAddr, ok = s.guestAddr(args.text("guest_addr")); !ok {
		return f, "guest_addr"
	}
	if f.GuestPort, ok = args.port("guest_port"); !ok || f.GuestPort == 0 {
		return f, "guest_port"
	}
	if _, given := args["host_port_end"]; given {
		f.HostPortEnd, ok = args.port("host_port_end")
		if !ok || f.HostPort == 0 || f.HostPortEnd < f.HostPort ||
			int(f.GuestPort)+int(f.HostPortEnd-f.HostPort) > 65535 {
			return f, "host_port_end"
		}
	}
	return f, ""
}

// hostAddr is the address to listen on. It must fit the protocol.
func hostAddr(proto, s string) (netip.Addr, bool) {
	v4, v6 := strings.HasSuffix(proto, "4"), strings.HasSuffix(proto, "6")
	if s == "" {
		if v6 {
			return netip.IPv6Unspecified(), true
		}
		return netip.IPv4Unspecified(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, false
	}
	a = a.Unmap()
	return a, !(v4 && a.Is6()) && !(v6 && a.Is4())
}

// guestAddr is the guest's address.
func (s *Server) guestAddr(text string) (netip.Addr, bool) {
	if text == "" {
		return s.backend.DefaultGuest(), true
	}
	a, err := netip.ParseAddr(text)
	return a.Unmap(), err == nil && a.Zone() == ""
}

// listed is the reply to list_hostfwd.
//
// slirp4netns: the manual says that the entries are in "return", the C program
// has them outside. Clients read the one or the other.
type listed struct {
	Entries []Forward `json:"entries"`
	Return  struct {
		Entries []Forward `json:"entries"`
	} `json:"return"`
}

func (s *Server) listHostfwd() any {
	var l listed
	l.Entries = s.backend.Forwards()
	if l.Entries == nil {
		l.Entries = []Forward{}
	}
	l.Return.Entries = l.Entries
	return l
}

func (s *Server) removeHostfwd(args arguments) (any, *failure) {
	id, ok := args.number("id")
	if !ok || id <= 0 {
		return nil, badRequest("remove_hostfwd: bad arguments.id")
	}
	drain := true
	if v, given := args["drain"]; given {
		if drain, ok = v.(bool); !ok {
			return nil, badRequest("remove_hostfwd: bad arguments.drain")
		}
	}
	err := s.backend.RemoveForward(id, drain)
	switch {
	case errors.Is(err, ErrUnknown):
		return nil, badRequest("remove_hostfwd: bad arguments.id").because(fmt.Errorf("forward %d: %w", id, ErrUnknown))
	case err != nil:
		return nil, badRequest("remove_hostfwd: slirp_remove_hostfwd failed").because(err)
	}
	return returned{struct{}{}}, nil
}
