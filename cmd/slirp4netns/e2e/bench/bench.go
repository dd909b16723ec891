package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// bench is what the measurements share.
type bench struct {
	p *trial
	o options
}

// Ports of the servers, on the host's 127.0.0.1 or in the guest.
const (
	iperfPort   = 5201
	bytePort    = 5300 // TCP: what comes is sent back
	echoPort    = 5301 // UDP: so it is here
	sourcePort  = 5302 // TCP: sends for ever
	holdPort    = 5303 // TCP: as bytePort, in a process of its own
	gapPort     = 5304 // TCP: what is sent there is looked at
	webPort     = 5380
	visitPort   = 5500 // TCP: as bytePort, the first of visitPorts
	forwardPort = 5400 // of the host, to iperfPort or echoPort of the guest
)

// rate is the length of a measurement of a rate.
func (b *bench) rate() time.Duration { return time.Duration(b.o.seconds) * time.Second }

// connected runs fn with a client of a subject.
func (b *bench) connected(s *subject, o setup, fn func(*place)) { s.connect(b, s, o, fn) }

// startServers starts what the guests measure against.
func (b *bench) startServers() {
	b.startIperf(b.p, host)
	for what, err := range map[string]error{
		"TCP echo": serveBytes(bytePort, 1),
		"visits":   serveBytes(visitPort, visitPorts),
		"UDP echo": serveDatagrams(lab.Host, "127.0.0.1", echoPort, same),
		"source":   serveStream(sourcePort),
		"resolver": b.serveNames(),
		"web":      b.serveWeb(),
		"second":   b.startAlone(),
	} {
		if err != nil {
			b.p.Fatalf("%s server: %v", what, err)
		}
	}
}

// startIperf starts a server in a place until the end of p.
func (b *bench) startIperf(p lab.T, at *place) {
	ctx, cancel := context.WithCancel(context.Background())
	server := at.command(ctx, "iperf3", "-s", "-p", strconv.Itoa(iperfPort))
	if err := server.Start(); err != nil {
		b.p.Fatalf("%v", err)
	}
	p.Cleanup(func() { cancel(); server.Wait() })
	if err := awaitListener(at.ns, iperfPort); err != nil {
		b.p.Fatalf("iperf3 -s: %v", err)
	}
}

// await waits until somebody listens.
func await(from *lab.Namespace, addr string, port int) error {
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := from.Do(func() error {
			c, err := net.DialTimeout("tcp4", fmt.Sprintf("%s:%d", addr, port), time.Second)
			if err == nil {
				c.Close()
			}
			return err
		})
		if err == nil || time.Since(start) > 5*time.Second {
			return err
		}
	}
}
