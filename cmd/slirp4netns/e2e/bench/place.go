package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// place is where a client of a measurement runs.
type place struct {
	ns      *lab.Namespace
	guest   *lab.Guest // nil for the host itself
	gateway string     // the host's 127.0.0.1, as it is seen here
	pids    []int      // of the data plane, the one whose memory is looked at first
	ready   time.Duration
}

// host is the machine itself.
var host = &place{ns: lab.Host, gateway: "127.0.0.1"}

// command is one that runs here.
func (at *place) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if at.guest == nil {
		return lab.Command(ctx, lab.OrdinaryUID, name, args...)
	}
	return at.guest.Command(ctx, name, args...)
}

// connectSlirp is for both slirp4netns.
func connectSlirp(b *bench, s *subject, o setup, fn func(*place)) {
	p := b.p.part()
	defer p.Close()
	g := lab.NewGuest(p, lab.GuestOptions{})
	args := append([]string{"-c", fmt.Sprintf("--mtu=%d", o.mtu)}, o.args...)
	at := &place{ns: &g.Namespace, guest: g, gateway: "10.0.2.2"}
	var api string
	if o.forward {
		api = filepath.Join(lab.TempDir(p, g.UID), "api.sock")
		args = append(args, "-a", api)
	}
	running := lab.StartSlirp(p, lab.SlirpOptions{Binary: s.binary, UID: g.UID, NoExitFD: o.noExitFD, Args: append(args, strconv.Itoa(g.PID), "tap0")})
	at.pids, at.ready = []int{running.Process.Pid}, running.Ready
	if o.forward {
		b.addForward(api, "tcp", iperfPort)
		b.addForward(api, "udp", echoPort)
	}
	fn(at)
}

// pastaSendBuffer is net.ipv4.tcp_wmem in pasta's guests, with the kernel's
// usual net.core.wmem_max as the highest. With the usual 4 MiB a sender has
// more under way than the guest's queue to the TAP takes, frames are dropped
// there, and Debian 12's pasta, which has no SACK, comes on by the sender's
// time-outs alone: iperf3 out of the guest, at any MTU, was below 0.2 Gbit/s in
// four runs of seven, and is 6.7 to 15.3 so.
const pastaSendBuffer = "4096 16384 212992"

// connectPasta has pasta answer for the same addresses. What would bypass
// its stack is off, but for forwards from loopback, which it always splices.
func connectPasta(b *bench, s *subject, o setup, fn func(*place)) {
	p := b.p.part()
	defer p.Close()
	g := lab.NewGuest(p, lab.GuestOptions{})
	args := []string{"-f", "-4", "--config-net", "-q", "-m", strconv.Itoa(o.mtu),
		"-a", "10.0.2.100", "-n", "24", "-g", "10.0.2.2", "-T", "none", "-U", "none"}
	if o.forward {
		args = append(args, "-t", fmt.Sprintf("127.0.0.1/%d:%d", forwardPort, iperfPort), "-u", fmt.Sprintf("127.0.0.1/%d:%d", forwardPort, echoPort))
	} else {
		args = append(args, "-t", "none", "-u", "none")
	}
	ctx, cancel := context.WithCancel(context.Background())
	var said lab.Log
	cmd := lab.Command(ctx, g.UID, "pasta", append(args, strconv.Itoa(g.PID))...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		b.p.Fatalf("%v", err)
	}
	p.Cleanup(func() { cancel(); cmd.Wait() })
	err := g.Do(func() error {
		return os.WriteFile("/proc/sys/net/ipv4/tcp_wmem", []byte(pastaSendBuffer), 0)
	})
	if err == nil {
		err = await(&g.Namespace, "10.0.2.2", bytePort)
	}
	if err != nil {
		b.p.Fatalf("pasta: %v\n%s", err, said.String())
	}
	fn(&place{ns: &g.Namespace, guest: g, gateway: "10.0.2.2", pids: []int{cmd.Process.Pid}})
}

// connectNothing measures the kernel alone.
func connectNothing(_ *bench, _ *subject, _ setup, fn func(*place)) {
	fn(host)
}

// addForward leads 127.0.0.1:forwardPort to a port of the guest.
func (b *bench) addForward(socket, proto string, port int) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		b.p.Fatalf("%v", err)
	}
	defer c.Close()
	fmt.Fprintf(c, `{"execute":"add_hostfwd","arguments":{"proto":%q,"host_addr":"127.0.0.1","host_port":%d,"guest_port":%d}}`, proto, forwardPort, port)
	c.(*net.UnixConn).CloseWrite()
	var reply struct{ Return *struct{ ID int } }
	if err := json.NewDecoder(c).Decode(&reply); err != nil || reply.Return == nil {
		b.p.Fatalf("add_hostfwd %s: %v", proto, err)
	}
}
