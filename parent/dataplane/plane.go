package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/dhcp"
	"github.com/slirp4netns-go/slirp4netns/parent/dns"
	"github.com/slirp4netns-go/slirp4netns/parent/hostfwd"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/outbound"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
	"github.com/slirp4netns-go/slirp4netns/parent/shortcut"
	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

// ErrTapGone tells that the guest's network namespace ended, or that the other
// side of the socket that we were given was closed.
var ErrTapGone = errors.New("the TAP device is gone")

// The smallest MTUs in bytes that IPv4 and IPv6 work with (RFC 791, RFC 8200).
const (
	minMTU  = 68
	MinMTU6 = header.IPv6MinimumMTU
)

// Plane is a data plane.
type Plane struct {
	link   *link.Endpoint
	stack  *stack.Stack
	poller *poll.Poller
	worker *poll.Worker
	tcp    *outbound.TCP
	udp    *outbound.UDP
	echo   *outbound.Echo
	relay  *dns.Relay

	resolvers *dns.Resolvers
	streams   *dns.Streams
	leases    leases
	fwd       *hostfwd.Table
	drops     outbound.Drops

	cfg      Config
	since    time.Time
	features atomic.Pointer[tun.Features] // of the device; nil before Start
	wire     link.Wire                    // nil: the device is a TAP

	ipv6 *ipv6 // nil without

	started bool
	ended   chan error // the first part that ended, and why
}

// New builds everything but the device. Nothing runs yet.
func New(cfg Config) (*Plane, error) {
	if cfg.MTU < minMTU {
		return nil, fmt.Errorf("an MTU of %d bytes is below the minimum of IPv4, %d", cfg.MTU, minMTU)
	}
	if cfg.EnableIPv6 && cfg.MTU < MinMTU6 {
		return nil, fmt.Errorf("an MTU of %d bytes is below the minimum of IPv6, %d", cfg.MTU, MinMTU6)
	}
	p := &Plane{cfg: cfg, since: time.Now(), worker: poll.NewWorker(), ended: make(chan error, 3)}
	var err error
	if p.poller, err = poll.New(); err != nil {
		return nil, err
	}
	p.link = link.New(link.Config{
		MTU:       cfg.MTU,
		Addrs:     cfg.Addrs(),
		Broadcast: dhcp.LastOf(cfg.Network).Next(),
		IPv6:      cfg.EnableIPv6,
		Addrs6:    cfg.Addrs6(),
		Receive:   p.receive,
		Flush:     func() { p.udp.Flush() },
		Gone:      func(port link.Port) { p.leases.gone(port) },
		Worker:    p.worker,
	})
	if p.stack, err = newStack(p.link, &cfg); err != nil {
		p.poller.Close()
		return nil, err
	}
	input, err := shortcut.NewInput(p.stack, nicID)
	if err != nil {
		p.poller.Close()
		p.stack.Close()
		return nil, err
	}
	p.link.SetInput(input)
	policy := &outbound.Policy{
		Gateway:             cfg.Gateway,
		Nameserver:          cfg.Nameserver,
		Gateway6:            cfg.Gateway6,
		Nameserver6:         cfg.Nameserver6,
		Network6:            cfg.Network6,
		LinkLocal6:          cfg.linkLocal6(),
		DisableHostLoopback: cfg.DisableHostLoopback,
		DisableDNS:          cfg.DisableDNS,
		Drops:               &p.drops,
	}
	source := outbound.Sources{
		IPv4: outbound.NewSource(cfg.Outbound4.Addr, cfg.Outbound4.Interface),
		IPv6: outbound.NewSource(cfg.Outbound6.Addr, cfg.Outbound6.Interface),
	}
	if err := source.Check(); err != nil {
		p.poller.Close()
		p.stack.Close()
		return nil, err
	}
	sender := datagram.New(p.link)
	if cfg.EnableIPv6 {
		p.ipv6 = newIPv6(cfg, sender)
	}
	limits := limitsOf(descriptors())
	if cfg.maxTCP != 0 {
		limits.tcp = cfg.maxTCP
	}
	p.newNameserver(cfg, source, sender, limits.dns)
	p.newLeases(cfg, sender)
	p.echo = outbound.NewEcho(outbound.EchoConfig{
		Policy: policy, Source: source, Poller: p.poller, Worker: p.worker, Sender: sender,
		Max: limits.ping,
	})
	p.udp = outbound.NewUDP(outbound.UDPConfig{
		Policy: policy, Source: source, Poller: p.poller, Worker: p.worker, Sender: sender,
		Relay: p.relay.Query, Max: limits.udp,
		Forwarded: func(src, host netip.AddrPort, payload []byte, segSize int) bool {
			return p.fwd.Send(src, host, payload, segSize)
		},
	})
	memory := splice.NewMemory()
	p.tcp = outbound.NewTCP(outbound.TCPConfig{
		Stack: p.stack, Policy: policy, Source: source, Poller: p.poller, Worker: p.worker, Sender: sender,
		Nameserver: p.streams.Connect,
		Max:        limits.tcp, Others: func() int { return p.fwd.Stats().TCP.Open },
		Memory: memory, Times: cfg.times,
	})
	ports, conns := forwarding(descriptors())
	p.fwd = hostfwd.New(hostfwd.Config{
		Stack: p.stack, NIC: nicID, Poller: p.poller, Worker: p.worker, Sender: sender,
		Guest4:     hostfwd.Guest{Gateway: cfg.Gateway, Prefix: cfg.Network},
		Guest6:     cfg.guest6(),
		FirstLease: cfg.FirstLease,
		Control:    source.Control,
		MaxSockets: ports, MaxConns: conns,
		Memory: memory,
	})
	p.takeReassembled()
	return p, nil
}

// Start gives the Plane its device and runs it. It owns fd from then on, also
// when it fails.
func (p *Plane) Start(fd int, f tun.Features) error {
	if err := p.link.Open(fd, f); err != nil {
		return err
	}
	f.Offload = p.link.Offload()
	return p.run(f)
}

// Connect is Start with a device that is no TAP.
func (p *Plane) Connect(w link.Wire) error {
	if err := limitWindow(p.stack); err != nil {
		return errors.Join(err, w.Close())
	}
	p.link.Connect(w)
	p.wire = w
	return p.run(tun.Features{Name: w.Name()})
}

// lost ends the Plane: the device cannot be read any more.
func (p *Plane) lost(err error) {
	if errors.Is(err, link.ErrGone) {
		err = ErrTapGone
	}
	select {
	case p.ended <- err:
	default: // others have said so
	}
}

// run runs all parts, with a device that has these features.
func (p *Plane) run(f tun.Features) error {
	p.features.Store(&f)
	trim := newTrimmer()
	p.poller.Between(func(idle bool) {
		p.link.Between(idle)
		trim.between(idle)
	})
	p.started = true
	if err := p.link.Watch(p.poller, p.lost); err != nil {
		return err
	}
	if p.ipv6 != nil {
		p.ipv6.router.Start()
	}
	go func() { p.ended <- p.poller.Run() }()
	go p.worker.Run()
	return nil
}

// Wait returns when ctx is done (nil) or when a part of the Plane has ended.
func (p *Plane) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.ended:
		if err == nil {
			err = errors.New("closed")
		}
		return fmt.Errorf("data plane: %w", err)
	}
}

// Close ends all flows and closes the device.
func (p *Plane) Close() {
	if p.ipv6 != nil {
		p.ipv6.router.Close()
	}
	p.fwd.Close()
	p.tcp.Close()
	p.udp.Close()
	p.echo.Close()
	p.relay.Close()
	p.streams.Close()
	p.worker.Close()
	p.poller.Close()
	if p.started {
		p.link.Close()
	}
}

// receive takes from the link what netstack shall not see.
func (p *Plane) receive(pkt link.Packet) bool {
	if pkt.V6() {
		return p.receive6(pkt)
	}
	switch pkt.Proto {
	case header.UDPProtocolNumber:
		if !p.leases.handle(pkt) && !p.fwd.HandleUDP(pkt) {
			p.udp.Handle(pkt)
		}
	case header.ICMPv4ProtocolNumber:
		if isError(pkt) {
			return false // perhaps about a segment of ours
		}
		p.echo.Handle(pkt)
	case header.TCPProtocolNumber:
		return p.tcp.Refuse(pkt)
	default:
		p.drops.Add(outbound.DropProtocol)
	}
	return true
}

// isError tells whether an ICMP message is a destination-unreachable one
// (RFC 792), by which a guest's firewall refuses connections.
func isError(pkt link.Packet) bool {
	icmp := pkt.Bytes[pkt.HdrLen:]
	return len(icmp) >= header.ICMPv4MinimumSize && header.ICMPv4(icmp).Type() == header.ICMPv4DstUnreachable
}
