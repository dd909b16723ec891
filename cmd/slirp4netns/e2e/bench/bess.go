package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// switched runs fn with a slirp4netns --target-type=bess and its first peer.
func (b *bench) switched(s *subject, mtu int, fn func(p lab.T, running *lab.BESS, first *os.File)) {
	p := b.p.part()
	defer p.Close()
	running, first := lab.StartBESS(p, lab.SlirpOptions{Binary: s.binary, UID: lab.OrdinaryUID, Args: []string{fmt.Sprintf("--mtu=%d", mtu)}})
	fn(p, running, first)
}

// bridged is a guest behind a peer of the switch.
func bridged(p lab.T, peer *os.File, mtu int, addr string) *lab.Guest {
	g := lab.NewGuest(p, lab.GuestOptions{})
	g.Bridge(p, peer, mtu, netip.MustParsePrefix(addr))
	return g
}

// bess is the throughput of one TCP connection of a guest that is bridged to
// the socket. The bridge's two threads are part of what is measured.
func bess(mtu int, in bool) method {
	return func(b *bench, s *subject) [][]float64 {
		var rate float64
		b.switched(s, mtu, func(p lab.T, _ *lab.BESS, first *os.File) {
			g := bridged(p, first, mtu, "10.0.2.100/24")
			rate = b.transfer(&place{ns: &g.Namespace, guest: g, gateway: "10.0.2.2"}, direction(in), 1).gigabits()
		})
		return [][]float64{{rate}}
	}
}

// direction is how transfer calls it.
func direction(in bool) string {
	if in {
		return "in"
	}
	return "out"
}

// bridgedInside runs fn on a thread inside a guest that is bridged to the socket.
func (b *bench) bridgedInside(s *subject, fn func(at *place) error) {
	b.switched(s, latencyMTU, func(p lab.T, _ *lab.BESS, first *os.File) {
		g := bridged(p, first, latencyMTU, "10.0.2.100/24")
		at := &place{ns: &g.Namespace, guest: g, gateway: "10.0.2.2"}
		if err := at.ns.Do(func() error { return fn(at) }); err != nil {
			b.p.Fatalf("%v", err)
		}
	})
}

// bessRequestResponse is requestResponse for such a guest. Twice the bridge is
// in the way.
func bessRequestResponse(b *bench, s *subject) (samples [][]float64) {
	b.bridgedInside(s, func(at *place) (err error) {
		samples, err = at.roundTrips()
		return err
	})
	return samples
}

// bessDatagrams is datagramExchange with one socket for such a guest.
func bessDatagrams(b *bench, s *subject) [][]float64 {
	var e exchanges
	b.bridgedInside(s, func(at *place) (err error) {
		e, err = datagrams(at.gateway, echoPort, 1, lossyEcho, b)
		return err
	})
	return [][]float64{{e.rate}}
}

// betweenPeers is that of a connection between two such guests.
func betweenPeers(b *bench, s *subject) [][]float64 {
	var rate float64
	b.switched(s, latencyMTU, func(p lab.T, running *lab.BESS, first *os.File) {
		one := bridged(p, first, latencyMTU, "10.0.2.100/24")
		two := bridged(p, running.Peer(p), latencyMTU, "10.0.2.101/24")
		server := b.p.part()
		defer server.Close()
		b.startIperf(server, &place{ns: &two.Namespace, guest: two})
		rate = b.transfer(&place{ns: &one.Namespace, guest: one, gateway: "10.0.2.101"}, "out", 1).gigabits()
	})
	return [][]float64{{rate}}
}

// umlInit runs on a machine whose root directory is the host's.
const umlInit = `#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc p /proc
mount -t tmpfs t /tmp
ip link set lo up
ip addr add 10.0.2.100/24 dev vec0
ip link set vec0 up
iperf3 %s
busybox poweroff -f
`

// uml is the throughput of one TCP connection of a User Mode Linux. The C
// program serves its first peer only, so the machine has to be that.
func uml(in bool) method {
	return func(b *bench, s *subject) [][]float64 {
		p := b.p.part()
		defer p.Close()
		path := filepath.Join(lab.TempDir(p, lab.OrdinaryUID), "bess.sock")
		report := make(chan string, 1)
		args := b.iperfArgs("10.0.2.2", iperfPort)
		if in {
			args = append(args, "-R")
		}
		go func() {
			defer close(report) // where it fails, there is none
			report <- b.bootUML(p, path, strings.Join(args, " "))
		}()
		lab.StartSlirp(p, lab.SlirpOptions{Binary: s.binary, UID: lab.OrdinaryUID, Args: []string{"--target-type=bess", path}})
		r, err := readReport([]byte(<-report))
		if err != nil {
			b.p.Fatalf("iperf3: %v", err)
		}
		rate := r.gigabits()
		return [][]float64{{rate}}
	}
}

// bootUML runs one to its end, with iperf3 in it, and returns the report.
func (b *bench) bootUML(p lab.T, socket, args string) string {
	dir := lab.TempDir(p, lab.OrdinaryUID)
	init := filepath.Join(dir, "init")
	if err := os.WriteFile(init, fmt.Appendf(nil, umlInit, args), 0o755); err != nil {
		b.p.Fatalf("%v", err)
	}
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break // the machine takes a second until it connects
		} else if time.Since(start) > 5*time.Second {
			b.p.Fatalf("%v", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(b.o.seconds+60)*time.Second)
	defer cancel()
	cmd := lab.Command(ctx, lab.OrdinaryUID, "linux.uml", "mem=128M", "rootfstype=hostfs", "rootflags=/", "ro", "init="+init,
		"vec0:transport=bess,dst="+socket+",depth=128,gro=1", "con=null", "con0=null,fd:1", "quiet")
	cmd.Env = append(cmd.Env, "HOME="+dir, "TMPDIR=/dev/shm")
	cmd.WaitDelay = time.Second
	out, _ := cmd.Output() // the report tells
	console := strings.ReplaceAll(string(out), "\r\n", "\n")
	begin, end := strings.Index(console, "{\n"), strings.LastIndex(console, "}\n")
	if begin < 0 || end < begin {
		b.p.Fatalf("no report of iperf3 on the console:\n%s", console)
	}
	return console[begin : end+1]
}
