package parent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/door"
	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
	"github.com/slirp4netns-go/slirp4netns/parent/api"
	"github.com/slirp4netns-go/slirp4netns/parent/dataplane"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/vswitch"
)

// process is one run of slirp4netns. Its stages, in order:
//
// Open: as the caller started us.
//
//   - Should: open all that is named by the command line and can only be
//     reached from here (namespaces); then close all else that was inherited.
//   - Mustn't: change anything, in our namespaces or the guest's.
//
// Restart, with --enable-sandbox only (restart.go): the process replaces
// itself, and is in a mount namespace of its own.
//
//   - Should: start the child first, as the caller started us; leave the host's
//     files and all capabilities but one, on every thread (parent/sandbox).
//   - Mustn't: be traceable from inside the guest's user namespace; go on when
//     a step failed.
//
// Attach: a child is in the guest's namespaces.
//
//   - Should: end with a TAP that was looked at, and a child that is dying.
//   - Mustn't: wait for ever; take the child's word for anything.
//
// Serve: the data plane runs.
//
//   - Should: print the banner, lock (lock.go), write to the ready-fd when all is
//     up, and then only wait.
//   - Mustn't: hold a namespace's descriptor, which would keep it alive.
type process struct {
	cfg *Config

	namespaces namespaces
	whyRefused string // see namespaces.whyRefused
	readyFD    int
	exitFD     int
	mute       bool // the ready-fd was not open from the start
	hungUp     bool // the exit-fd was not open from the start
	death      deathSignal
	target     int           // pidfd of the process that we serve; -1: not watched
	child      *door.Process // to be reaped; nil: none
	sockets    ipc.Sockets   // to the child

	files []*hostFile // that we made
	// listening is set when files is complete; removing is for their end.
	listening atomic.Bool
	removing  sync.Once
	entered   bool            // the sandbox, where their paths lead nowhere
	socket    *api.Socket     // nil: none
	peers     int             // the listening socket of --target-type=bess
	sw        *vswitch.Switch // nil: none

	plane    *dataplane.Plane
	planeErr error
	built    chan struct{} // closed when plane and planeErr are set
}

// tapDevice is what the attach stage ends with.
type tapDevice struct {
	fd       int
	features tun.Features
	wire     link.Wire // no TAP; nil: a TAP
}

// open is the first stage.
func (p *process) open() (err error) {
	p.death = readDeathSignal()
	p.openHandshakes()
	p.target = p.cfg.openTarget()
	if p.cfg.Target.needsChild() && !door.Linked() {
		return door.ErrNotLinked
	}
	// A namespace's path may lead through an inherited descriptor
	// (/proc/self/fd/N), so they are opened before those are closed.
	if p.namespaces, err = openNamespaces(p.cfg.Target); err != nil {
		return err
	}
	p.whyRefused = p.namespaces.whyRefused(p.cfg.Target)
	// The kernel refuses it to others than root, whom it would cost the
	// machine's default route.
	if n := p.namespaces.net; p.cfg.Configure && os.Geteuid() == 0 && n != nil && isOur("net", n) {
		p.namespaces.close()
		return errors.New(p.whyRefused)
	}
	keep := []int{p.readyFD, p.exitFD}
	if p.cfg.Target.Kind == TargetTapFD {
		keep = append(keep, p.cfg.Target.FD)
	}
	if err := ipc.CloseInherited(keep...); err != nil {
		return err
	}
	return nil
}

// openHandshakes looks at the descriptors that the command line names.
//
// slirp4netns: a ready-fd that is not open is no reason to fail, and an exit-fd
// that is not open is one that has hung up.
func (p *process) openHandshakes() {
	p.readyFD, p.exitFD = p.cfg.ReadyFD, p.cfg.ExitFD
	if p.readyFD >= 0 && !inherited(p.readyFD) {
		p.readyFD, p.mute = -1, true
	}
	if p.exitFD >= 0 && !inherited(p.exitFD) {
		p.exitFD, p.hungUp = -1, true
	}
}

// buildPlane makes the data plane while the child makes the TAP.
func (p *process) buildPlane() {
	p.built = make(chan struct{})
	go func() {
		defer close(p.built)
		p.plane, p.planeErr = dataplane.New(p.cfg.dataplane())
	}()
}

// attach is the second stage.
func (p *process) attach(ctx context.Context) (tapDevice, error) {
	switch p.cfg.Target.Kind {
	case TargetTapFD:
		return inheritedTap(p.cfg.Target.FD, p.cfg.Gateway())
	case TargetBESS:
		return p.newSwitch(), nil
	}
	defer p.namespaces.close()
	return p.makeTap(ctx)
}

// serve is the last stage. It returns why it ended.
func (p *process) serve(ctx context.Context, tap tapDevice) error {
	<-p.built
	if p.planeErr != nil {
		return p.planeErr
	}
	// Whoever takes the banner apart reads it before the ready-fd.
	if !isStdout(p.readyFD) {
		if err := p.cfg.WriteBanner(os.Stdout); err != nil {
			warn(err)
		}
	}
	if err := p.start(tap); err != nil {
		return err
	}
	defer p.plane.Close()
	if err := p.publish(); err != nil {
		return err
	}
	defer p.control()()
	if p.cfg.Seccomp {
		p.reap() // the filter has no wait4(2)
	}
	if err := p.lock(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if p.hungUp {
		cancel(errExit)
	}
	if p.exitFD >= 0 {
		go watchExit(p.exitFD, cancel)
	}
	if p.target >= 0 {
		go watchTarget(p.target, cancel)
	}
	if err := p.awaitPeer(ctx); err != nil {
		return err
	}
	p.ready()
	p.reap()
	if err := p.plane.Wait(ctx); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// reap ends the child, if there is one.
func (p *process) reap() {
	if p.child != nil {
		p.child.End(0)
		p.child = nil
	}
}

// start gives the data plane its device.
func (p *process) start(tap tapDevice) error {
	if tap.wire != nil {
		return p.plane.Connect(tap.wire)
	}
	return p.plane.Start(tap.fd, tap.features)
}

// ready tells the caller that all is up.
func (p *process) ready() {
	if p.mute {
		warn(fmt.Errorf("ready-fd %d: %w", p.cfg.ReadyFD, unix.EBADF))
	}
	if p.readyFD >= 0 {
		if err := notifyReady(p.readyFD); err != nil {
			warn(err)
		}
	}
}

// dataplane is the part of the configuration that the data plane needs.
func (c *Config) dataplane() dataplane.Config {
	return dataplane.Config{
		MTU:                 c.MTU,
		Network:             c.Network,
		Gateway:             c.Gateway(),
		Nameserver:          c.Nameserver(),
		EnableIPv6:          c.hasIPv6(),
		Network6:            c.Network6,
		Gateway6:            c.Gateway6(),
		Nameserver6:         c.Nameserver6(),
		Version:             c.Version,
		FirstLease:          c.DHCPFirst(),
		Recommended:         c.Recommended(),
		DisableHostLoopback: c.DisableHostLoopback,
		DisableDNS:          c.DisableDNS,
		DNS:                 dataplane.DNS(c.DNS),
		Outbound4:           dataplane.Outbound(c.Outbound4),
		Outbound6:           dataplane.Outbound(c.Outbound6),
		ResolvConf:          resolvConf,
	}
}

// resolvConf is resolv.conf(5).
const resolvConf = "/etc/resolv.conf"
