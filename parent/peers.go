package parent

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/dataplane"
	"github.com/slirp4netns-go/slirp4netns/parent/sockfile"
	"github.com/slirp4netns-go/slirp4netns/parent/vswitch"
)

// peersMode are the permissions of the socket of --target-type=bess: whoever
// connects is on the guest's network.
const peersMode = 0o600

// listenPeers makes the socket of --target-type=bess.
func (p *process) listenPeers() error {
	const what = "BESS socket"
	s, err := sockfile.Listen(what, unix.SOCK_SEQPACKET, p.cfg.Target.Path, peersMode)
	if err != nil {
		return &setupError{err}
	}
	p.files = append(p.files, &hostFile{what: what, path: p.cfg.Target.Path, remove: s.Remove})
	p.peers = s.Take()
	return nil
}

// newSwitch makes the switch that takes the peers.
func (p *process) newSwitch() tapDevice {
	cfg := p.cfg.dataplane()
	p.sw = vswitch.New(vswitch.Config{
		Name:     p.cfg.Target.Path,
		Addrs:    cfg.Addrs(),
		Addrs6:   cfg.Addrs6(),
		MaxPeers: dataplane.Peers(),
	}, p.peers)
	return tapDevice{fd: p.peers, wire: p.sw}
}

// awaitPeer waits until the first peer has come, or something has ended.
//
// slirp4netns: only then is it ready, and these are the C program's words. Its
// numbers are those of two processes; ours is that of the listening socket.
func (p *process) awaitPeer(ctx context.Context) error {
	if p.sw == nil {
		return nil
	}
	fmt.Fprintf(os.Stderr, "Waiting for connection to %s\n", p.cfg.Target.Path)
	until, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.sw.FirstPeer():
			cancel()
		case <-until.Done():
		}
	}()
	if err := p.plane.Wait(until); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "sent \"tapfd\"=%[1]d (not really TAP) for %[2]s\nreceived tapfd=%[1]d\n", p.peers, p.cfg.Target.Path)
	return nil
}
