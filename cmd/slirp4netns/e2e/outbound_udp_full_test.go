package e2e

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// A socket of the host whose send buffer is full loses what comes next, as that
// of a program of the host does that does not wait: no less of it arrives than
// of such a program, nobody else waits, and all arrives when there is room
// again. C waits, and so does everybody else. A neighbour that does not answer
// yet fills the buffer: the kernel keeps for it what it shall have.
func TestUDPFullSendBuffer(t *testing.T) {
	const size, count, port = 1400, 600, "9999"
	hostSysctl(t, "net.ipv4.neigh."+lab.HostLink+".unres_qlen_bytes", "16000000")
	// arrived sends all of that from ns, lets the neighbour answer, and
	// counts.
	arrived := func(t *testing.T, ns namespace, neighbour string, othersWait bool) int {
		hostCommand(t, "ip", "neigh", "flush", "dev", lab.HostLink, "to", neighbour)
		to := neighbour + ":" + port
		server := newUDPOf(t, lab.Inet, unix.AF_INET)
		server.bind("0.0.0.0:" + port)
		s := newUDPOf(t, ns, unix.AF_INET)
		for i := range count {
			err := unix.Sendto(s.fd, []byte(strings.Repeat("x", size)), unix.MSG_DONTWAIT, sockaddr(to))
			if err != nil && err != unix.EAGAIN {
				t.Fatalf("datagram %d: %v", i, err)
			}
			if i%100 == 0 {
				time.Sleep(5 * time.Millisecond) // the TAP's queue is short
			}
		}
		_, other := serveUDP(t, lab.Inet, "198.51.100.2:0", whoami)
		o := newUDP(t, ns)
		// The first datagram may be lost where the guest's TAP is full.
		got := ""
		for range 5 {
			if err := o.send("hello", other); err != nil {
				t.Fatal(err)
			}
			if got = o.receive(200 * time.Millisecond); got != "" {
				break
			}
		}
		if waits := got == ""; waits != othersWait {
			t.Errorf("another flow has no answer: %v, want %v", waits, othersWait)
		}
		inetAddress(t, neighbour+"/24")
		n := 0
		for timeout := 3 * time.Second; ; timeout = 300 * time.Millisecond {
			b, from := server.receiveBytes(timeout)
			if from == "" {
				break
			}
			if len(b) != size {
				t.Errorf("datagram %d has %d bytes, want %d", n, len(b), size)
			}
			n++
		}
		for i := range 100 {
			if err := s.send("again", to); err != nil {
				t.Fatal(err)
			}
			if got := server.receive(time.Second); !strings.HasPrefix(got, "again") {
				t.Fatalf("datagram %d after the neighbour's answer: %q", i, got)
			}
		}
		return n
	}
	host := 0
	t.Run("a program of the host", func(t *testing.T) {
		if host = arrived(t, lab.Host, "198.51.100.81", false); host == 0 || host == count {
			t.Fatalf("%d of %d datagrams arrived, want a part", host, count)
		}
	})
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		neighbour := "198.51.100.82"
		if c {
			neighbour = "198.51.100.83"
		}
		n := arrived(t, g, neighbour, c)
		t.Logf("%d of %d datagrams arrived; of a program of the host %d", n, count, host)
		if !c && n < host {
			t.Errorf("%d datagrams arrived, want %d at least, as of a program of the host", n, host)
		}
	})
}
