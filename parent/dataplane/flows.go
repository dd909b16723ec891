package dataplane

// Flows are the numbers of what a Plane carries at the moment.
type Flows struct {
	TCP  int // connections, those that are being made included
	UDP  int // guest addresses and ports with a host socket
	DNS  int // sockets of the relay, and connections to the nameserver
	Echo int // ping sockets
	// Orphans are TCP connections, forwarded ones too, whose host side is
	// closed, and whose guest has not taken all of it.
	Orphans int
}

// Flows counts.
func (p *Plane) Flows() Flows {
	return Flows{
		TCP: p.tcp.Len(), UDP: p.udp.Len(), DNS: p.relay.Len() + p.streams.Len(), Echo: p.echo.Len(),
		Orphans: p.tcp.Orphans() + p.fwd.Orphans(),
	}
}
