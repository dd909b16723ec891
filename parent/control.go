package parent

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/slirp4netns-go/slirp4netns/parent/api"
	"github.com/slirp4netns-go/slirp4netns/parent/dataplane"
)

// hasFiles tells whether listen makes any.
func (c *Config) hasFiles() bool { return c.APISocket != "" || c.Target.Kind == TargetBESS }

// listen makes the sockets that have files. It is done before the host's files
// go out of sight, and before much else: clients wait until they can be
// answered.
func (p *process) listen() error {
	defer p.listening.Store(true)
	if p.cfg.APISocket != "" {
		var err error
		if p.socket, err = api.Listen(p.cfg.APISocket, p.cfg.APISocketMode); err != nil {
			return err
		}
		p.files = append(p.files, &hostFile{what: "API socket", path: p.cfg.APISocket, remove: p.socket.Remove})
	}
	if p.cfg.Target.Kind == TargetBESS {
		return p.listenPeers()
	}
	return nil
}

// unlisten closes what listen made, and removes the files.
func (p *process) unlisten() {
	if p.socket != nil {
		p.socket.Close()
	}
	p.removeFiles()
}

// control answers requests until the function that it returns is called, which
// then waits for those that are being answered.
func (p *process) control() (stop func()) {
	if p.socket == nil {
		return func() {}
	}
	done := make(chan error, 1)
	log := newPatientLog(os.Stderr)
	server := api.NewServer(p.plane.Control(), log, dataplane.Clients())
	go func() { done <- server.Serve(p.socket) }()
	return func() {
		p.socket.Close()
		server.Stop()
		<-done
		log.Close()
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
