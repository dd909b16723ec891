package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// bench is what the rows share.
type bench struct {
	p *lab.Program
	o options
}

// Ports of the host's servers, on 127.0.0.1.
const (
	iperfPort = 5201
	bytePort  = 5300
)

// gateway is 127.0.0.1 of the host as the guest sees it.
var gateway = [4]byte{10, 0, 2, 2}

// startServers starts what the guests measure against.
func (b *bench) startServers() {
	server := lab.Command(context.Background(), lab.OrdinaryUID, "iperf3", "-s", "-B", "127.0.0.1", "-p", strconv.Itoa(iperfPort))
	if err := server.Start(); err != nil {
		b.p.Fatalf("%v", err)
	}
	b.p.Cleanup(func() { server.Process.Kill(); server.Wait() })
	if err := serveBytes(bytePort); err != nil {
		b.p.Fatalf("byte server: %v", err)
	}
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", iperfPort))
		if err == nil {
			c.Close()
			return
		}
		if time.Since(start) > 5*time.Second {
			b.p.Fatalf("iperf3 -s: %v", err)
		}
	}
}

// connected runs fn with a guest that binary connects.
func (b *bench) connected(binary string, mtu int, fn func(g *lab.Guest, s *lab.Slirp)) {
	p := lab.NewProgram("bench")
	g := lab.NewGuest(p, lab.GuestOptions{})
	s := lab.StartSlirp(p, lab.SlirpOptions{
		Binary: binary,
		UID:    g.UID,
		Args:   []string{"-c", fmt.Sprintf("--mtu=%d", mtu), strconv.Itoa(g.PID), "tap0"},
	})
	fn(g, s)
	p.Close()
	if p.Failed() {
		b.p.Fatalf("%s failed: no figure of it counts", binary)
	}
}

// byteSocket is a blocking TCP socket that sends at once.
func byteSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
