package main

import (
	"bytes"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// datagramExchange is how many datagrams of 64 bytes come back in a second,
// with so many sockets that each have one under way.
func datagramExchange(sockets int) method {
	return func(b *bench, s *subject) [][]float64 {
		var e exchanges
		b.inside(s, func(at *place) (err error) {
			e, err = datagrams(at.gateway, echoPort, sockets, lossyEcho, b)
			return err
		})
		return [][]float64{{e.rate}}
	}
}

// echoOf asks for the same bytes back: of datagrams the number is in them, so
// that a late answer is not taken for another one's.
func echoOf(size int) asking {
	request := func(n uint16) []byte {
		b := make([]byte, size)
		b[0] = byte(n)
		return b
	}
	return asking{request: request, check: func(n uint16, answer []byte) error {
		if want := request(n); !bytes.Equal(answer, want) {
			return fmt.Errorf("%d bytes %x came back for %d bytes %x", len(answer), answer[:1], size, want[:1])
		}
		return nil
	}}
}

// lossyEcho is that for datagrams of 64 bytes.
var lossyEcho = func() asking {
	ask := echoOf(64)
	ask.mayBeLost = true
	return ask
}()

// datagrams exchanges some from the calling thread's namespace.
func datagrams(server string, port, sockets int, ask asking, b *bench) (exchanges, error) {
	to := &unix.SockaddrInet4{Port: port}
	copy(to.Addr[:], net.ParseIP(server).To4())
	fds := make([]int, sockets)
	for i := range fds {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return exchanges{}, err
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, to); err != nil {
			return exchanges{}, err
		}
		fds[i] = fd
	}
	return pingPong(fds, ask, b.rate())
}

// forwardedEcho is the same from the host to a server in the guest.
func forwardedEcho(b *bench, s *subject) [][]float64 {
	var e exchanges
	b.connected(s, setup{mtu: latencyMTU, forward: true}, func(at *place) {
		err := serveDatagrams(at.ns, "0.0.0.0", echoPort, same)
		if err == nil {
			err = lab.Host.Do(func() (err error) {
				e, err = datagrams("127.0.0.1", forwardPort, parallel, lossyEcho, b)
				return err
			})
		}
		if err != nil {
			b.p.Fatalf("%v", err)
		}
	})
	return [][]float64{{e.rate}}
}

// oneWay is how many datagrams of one iperf3 that sends as fast as it can
// arrive in a second.
func oneWay(size int, in bool) method {
	return func(b *bench, s *subject) [][]float64 {
		var rate float64
		b.connected(s, setup{mtu: latencyMTU}, func(at *place) {
			// Without -O: what is omitted is counted as lost otherwise.
			args := []string{"-u", "-b", "0", "-l", strconv.Itoa(size), "-O", "0"}
			if in {
				args = append(args, "-R")
			}
			rate = b.iperf(at, at.gateway, iperfPort, args...).delivered()
		})
		return [][]float64{{rate}}
	}
}
