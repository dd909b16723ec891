package parent

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/slirp4netns-go/slirp4netns/parent/api"
	"github.com/slirp4netns-go/slirp4netns/parent/dataplane"
	"github.com/slirp4netns-go/slirp4netns/parent/sandbox"
)

// listen makes the control socket. It is done before the host's files go out
// of sight, and before much else: requests wait until they can be answered.
func (p *process) listen() error {
	if p.cfg.APISocket == "" {
		return nil
	}
	var err error
	p.socket, err = api.Listen(p.cfg.APISocket, p.cfg.APISocketMode)
	return err
}

// keepRemover makes sure that unlisten works from inside the sandbox.
func (p *process) keepRemover() error {
	if p.socket == nil {
		return nil
	}
	var err error
	p.remover, err = sandbox.NewRemover(p.cfg.APISocket)
	if errors.Is(err, sandbox.ErrNotRemovable) {
		warn(fmt.Errorf("API socket %w", err))
		return nil
	}
	return err
}

// unlisten closes the control socket and removes its file.
func (p *process) unlisten() {
	if p.socket == nil {
		return
	}
	p.socket.Close()
	var err error
	switch {
	case p.remover != nil:
		err = p.remover.Remove()
	case !p.cfg.Sandbox:
		err = p.socket.Remove()
	}
	if err != nil {
		warn(err)
	}
}

// control answers requests until the function that it returns is called, which
// then waits for those that are being answered.
func (p *process) control() (stop func()) {
	if p.socket == nil {
		return func() {}
	}
	done := make(chan error, 1)
	server := api.NewServer(p.plane.Control(), os.Stderr, dataplane.Clients())
	go func() { done <- server.Serve(p.socket) }()
	return func() {
		p.socket.Close()
		<-done
	}
}

// publish puts the forwards of the command line into force.
func (p *process) publish() error {
	for _, f := range p.cfg.Publish {
		got, err := p.plane.Control().AddForward(api.Forward{
			Proto:     f.Network,
			HostAddr:  f.Host.Addr(),
			HostPort:  f.Host.Port(),
			GuestAddr: p.cfg.Recommended(),
			GuestPort: f.GuestPort, HostPortEnd: f.End,
		})
		if err != nil {
			return fmt.Errorf("--publish: %w", err)
		}
		from := netip.AddrPortFrom(got.HostAddr, got.HostPort).String()
		to := netip.AddrPortFrom(got.GuestAddr, got.GuestPort).String()
		if f.End != 0 {
			from += fmt.Sprintf("-%d", f.End)
			to += fmt.Sprintf("-%d", int(got.GuestPort)+int(f.End-got.HostPort))
		}
		fmt.Printf("* Published:       %s -> %s/%s\n", from, to, got.Proto)
	}
	return nil
}
