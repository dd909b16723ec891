package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// With the first of three nameservers dead no query is lost, and of 1,000 at
// most ten take a second.
func TestDNSFailover(t *testing.T) {
	const queries, workers = 1000, 20
	for _, first := range []string{silentServer, closedServer} {
		t.Run(first, func(t *testing.T) {
			hostEtc(t, first, lab.InetAddr4.String(), lab.InetAddr6.String())
			g := lab.NewGuest(t, lab.GuestOptions{})
			g.Slirp(t, "-c")
			var mu sync.Mutex
			var times []time.Duration
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for range queries / workers {
						got, took, err := queryA(g, "udp4", lab.Domain, 5*time.Second)
						if err != nil || got != lab.InetAddr4.String() {
							t.Errorf("%s after %v, %v", got, took, err)
							return
						}
						mu.Lock()
						times = append(times, took)
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			slices.Sort(times)
			if len(times) != queries {
				t.Fatalf("%d answers to %d queries", len(times), queries)
			}
			p99 := times[queries*99/100-1]
			t.Logf("median %v, p99 %v, longest %v", times[queries/2], p99, times[queries-1])
			if p99 >= time.Second {
				t.Errorf("p99 %v, want less than 1 s", p99)
			}
		})
	}
}

// The same for connections: one has to wait for the second that a resolver has
// to accept one, or to answer on it.
func TestDNSFailoverTCP(t *testing.T) {
	const mute = "127.0.0.110"
	serveMute(t, mute+":53")
	for _, first := range []string{silentServer, mute} {
		t.Run(first, func(t *testing.T) {
			hostEtc(t, first, lab.InetAddr4.String())
			g := lab.NewGuest(t, lab.GuestOptions{})
			g.Slirp(t, "-c")
			for i := range 20 {
				limit := time.Second
				if i == 0 {
					limit = 2 * time.Second
				}
				got, took, err := queryA(g, "tcp4", lab.Domain, 5*time.Second)
				if err != nil || got != lab.InetAddr4.String() || took > limit {
					t.Errorf("query %d: %s after %v, %v", i, got, took, err)
				}
				if i == 0 {
					t.Logf("the first query took %v", took)
				}
			}
		})
	}
}

// serveMute accepts connections at an address of the host, and says nothing.
func serveMute(t *testing.T, at string) {
	t.Helper()
	serveTCP(t, lab.Host, at, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
}

// A resolver that has no answer to give is not the last one, as for the C
// library; if there is none better the guest has what the first one says.
func TestDNSNoAnswerToGive(t *testing.T) {
	for i, rcode := range []byte{dns.RcodeServerFailure, dns.RcodeNotImplemented, dns.RcodeRefused} {
		serveRawDNS(t, lab.Host, fmt.Sprintf("127.0.0.%d:53", 111+i), func(query []byte, _ bool) []byte {
			return append([]byte{query[0], query[1], 0x80, rcode}, query[4:]...)
		})
	}
	hostDNS(t, "127.0.0.114:53", "192.0.2.114")
	for first := 111; first <= 113; first++ {
		hostEtc(t, fmt.Sprintf("127.0.0.%d", first), "127.0.0.114")
		wantFrom(t, "192.0.2.114", "-c")
	}
	hostEtc(t, "127.0.0.112", "127.0.0.113", "127.0.0.111")
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c")
	for _, network := range []string{"udp4", "tcp4"} {
		query := oddQuery(0xbe10)
		want := append([]byte{query[0], query[1], 0x80, dns.RcodeNotImplemented}, query[4:]...)
		if got := askRaw(t, g, network, relay, query); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", network, got, want)
		}
	}
}

// The guest's SYN has the answer that a resolver has given to ours.
func TestDNSConnect(t *testing.T) {
	for _, c := range []struct {
		server string
		want   error
	}{
		{lab.InetAddr4.String(), nil},
		{closedServer, unix.ECONNREFUSED},
		{closedServer + "," + lab.InetAddr4.String(), nil},
		{"198.51.100.77", unix.EHOSTUNREACH},
		{silentServer, os.ErrDeadlineExceeded},
	} {
		t.Run(c.server, func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{})
			g.Slirp(t, "-c", "--dns="+c.server)
			conn, err := g.Dial("tcp4", relay, connectTimeout(c.want))
			if err == nil {
				conn.Close()
			}
			if e := net.Error(nil); c.want == os.ErrDeadlineExceeded && errors.As(err, &e) && e.Timeout() {
				return
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// connectTimeout is how long to wait for an answer, or for none.
func connectTimeout(want error) time.Duration {
	if want == os.ErrDeadlineExceeded {
		return 2 * time.Second
	}
	return commandTimeout
}

// A guest of IPv4 has its answers from a resolver of IPv6.
func TestDNSAcrossFamilies(t *testing.T) {
	hostEtc(t, lab.InetAddr6.String())
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c")
	for _, network := range []string{"udp4", "tcp4"} {
		if got, took, err := queryA(g, network, lab.Domain, 5*time.Second); err != nil || got != lab.InetAddr4.String() {
			t.Errorf("%s: %s after %v, %v", network, got, took, err)
		}
	}
}

// Without a nameserver line the C library asks the loopback addresses.
func TestDNSWithoutNameservers(t *testing.T) {
	hostEtc(t)
	hostDNS(t, "127.0.0.1:53", "192.0.2.53")
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c", "--disable-host-loopback")
	for _, network := range []string{"udp4", "tcp4"} {
		if got, took, err := queryA(g, network, lab.Domain, 5*time.Second); err != nil || got != "192.0.2.53" {
			t.Errorf("%s: %s after %v, %v", network, got, took, err)
		}
	}
}
