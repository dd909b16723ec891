package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
	"github.com/slirp4netns-go/slirp4netns/parent/dataplane"
)

// The data plane of this test runs in a process of its own, so that what is
// counted is its alone. That process is the test's binary again.
const (
	planeEnv = "SLIRP_TEST_PLANE"
	planeTap = 3 // its TAP's descriptor
)

func init() {
	if os.Getenv(planeEnv) != "" {
		os.Exit(runPlane())
	}
}

// planeStats is what the process answers to each line of its standard input.
type planeStats struct {
	Flows      dataplane.Flows
	TotalUDP   uint64 // flows that were begun
	FDs        int
	Goroutines int
	HeapKiB    int // live, after garbage collection
}

// runPlane runs a data plane on the TAP until its standard input ends.
func runPlane() int {
	p, err := dataplane.New(dataplane.Config{
		MTU: 1500, Network: netip.MustParsePrefix("10.0.2.0/24"),
		Gateway: netip.MustParseAddr("10.0.2.2"), Nameserver: netip.MustParseAddr("10.0.2.3"),
		ResolvConf: "/etc/resolv.conf",
	})
	if err == nil {
		err = p.Start(planeTap, tun.Features{Name: "tap0", VnetHdrLen: tun.VnetHdrLen})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		runtime.GC()
		runtime.GC() // the second one empties the pools
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		json.NewEncoder(os.Stdout).Encode(planeStats{
			Flows: p.Flows(), TotalUDP: p.Control().Stats().UDP.Flows.Total, FDs: len(fds), Goroutines: runtime.NumGoroutine(), HeapKiB: int(m.HeapAlloc >> 10),
		})
	}
	p.Close()
	return 0
}

// plane is that process, seen from the test.
type plane struct {
	t   *testing.T
	pid int
	in  io.Writer
	out *json.Decoder
}

// startPlane connects a guest to it.
func startPlane(t *testing.T, g *lab.Guest) *plane {
	t.Helper()
	fd := -1
	if err := g.Do(func() (err error) { fd, _, err = tun.Open("tap0", tun.OffloadAll); return err }); err != nil {
		t.Fatal(err)
	}
	tap := os.NewFile(uintptr(fd), "tap0")
	defer tap.Close()
	g.Run(t, commandTimeout, "sh", "-c",
		"ip link set lo up && ip link set tap0 mtu 1500 up && ip addr add 10.0.2.100/24 dev tap0 && ip route add default via 10.0.2.2")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), planeEnv+"=1")
	cmd.ExtraFiles = []*os.File{tap}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the data plane's process: %v", err)
		}
	})
	return &plane{t: t, pid: cmd.Process.Pid, in: in, out: json.NewDecoder(out)}
}

func (p *plane) stats() planeStats {
	p.t.Helper()
	var s planeStats
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		p.t.Fatal(err)
	}
	if err := p.out.Decode(&s); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// settle waits until as many flows and sockets are there as at the start. UDP
// flows take 10 s, and up to 5 s more until they are looked at.
func (p *plane) settle(start planeStats) planeStats {
	p.t.Helper()
	for deadline := time.Now().Add(25 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		s := p.stats()
		if s.Flows == start.Flows && s.FDs == start.FDs && s.Goroutines <= start.Goroutines+5 {
			return p.rest(s)
		}
		if time.Now().After(deadline) {
			p.t.Errorf("left behind: %+v, at the start: %+v", s, start)
			return s
		}
	}
}

// rest waits for what netstack's timers still hold: the least of several looks
// at the heap is what stays.
func (p *plane) rest(s planeStats) planeStats {
	p.t.Helper()
	for range 8 {
		time.Sleep(250 * time.Millisecond)
		s.HeapKiB = min(s.HeapKiB, p.stats().HeapKiB)
	}
	return s
}

// What has ended leaves nothing behind. C keeps sockets in FIN_WAIT2 for days
// (slirp4netns issue 350).
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	g := lab.NewGuest(t, lab.GuestOptions{})
	p := startPlane(t, g)
	echoes := echoServers(t)
	start := p.stats()
	t.Logf("start: %+v, RSS %d KiB", start, residentKiB(t, p.pid))
	var ends [2]planeStats
	for round := range ends {
		for _, step := range []struct {
			name string
			run  func(*lab.Guest, []string) error
		}{
			{"10,000 connections one after the other", sequentialTCP},
			{"2,000 connections at once", concurrentTCP},
			{"5,000 UDP flows, 500 queries to the relay", queriesFromManyPorts},
		} {
			began := time.Now()
			if err := step.run(g, echoes); err != nil {
				t.Fatalf("round %d, %s: %v", round, step.name, err)
			}
			t.Logf("round %d: %s: %.1f s, RSS %d KiB", round, step.name, time.Since(began).Seconds(), residentKiB(t, p.pid))
		}
		busy := p.stats()
		if want := uint64(5000 * (round + 1)); busy.TotalUDP != want {
			t.Errorf("round %d: %d UDP flows so far, want %d", round, busy.TotalUDP, want)
		}
		ends[round] = p.settle(start)
		t.Logf("round %d: %+v, then %+v, RSS %d KiB", round, busy, ends[round], residentKiB(t, p.pid))
	}
	// 1.5 MiB where this was written: tables that have grown. 1,000 endpoints
	// that netstack keeps would be more than the rest.
	if a, b := start.HeapKiB, ends[0].HeapKiB; b > a+3<<10 {
		t.Errorf("the live heap grew from %d to %d KiB in the first round", a, b)
	}
	if a, b := ends[0].HeapKiB, ends[1].HeapKiB; b > a+a/10 {
		t.Errorf("the live heap grew from %d to %d KiB in the second round", a, b)
	}
}

// oneByte sends a byte to the echo server and reads it back.
func oneByte(c net.Conn) error {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// echoServers are several, since each of them leaves the guest's and the
// host's kernel ports in TIME_WAIT: with one they would soon search for a free
// port for milliseconds.
func echoServers(t *testing.T) []string {
	t.Helper()
	var addrs []string
	for range 8 {
		addrs = append(addrs, listenInet(t, func(c *net.TCPConn) { io.Copy(c, c) }).String())
	}
	return addrs
}

func sequentialTCP(g *lab.Guest, servers []string) error {
	return g.Do(func() error {
		for i := range 10_000 {
			c, err := net.DialTimeout("tcp4", servers[i%len(servers)], 10*time.Second)
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			err = oneByte(c)
			if i%10 == 0 {
				c.(*net.TCPConn).SetLinger(0) // some end by RST
			}
			c.Close()
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
		}
		return nil
	})
}

func concurrentTCP(g *lab.Guest, servers []string) error {
	return g.Do(func() error {
		var conns []net.Conn
		defer func() {
			for _, c := range conns {
				c.Close()
			}
		}()
		for i := range 2000 {
			c, err := net.DialTimeout("tcp4", servers[i%len(servers)], 10*time.Second)
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			conns = append(conns, c)
		}
		for i, c := range conns {
			if err := oneByte(c); err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
		}
		return nil
	})
}

// queriesFromManyPorts asks inet's resolver from 5,000 ports, as flows that
// ended with DNS time out after 10 s, others after 240 s. Then 500 more ask the
// relay.
func queriesFromManyPorts(g *lab.Guest, _ []string) error {
	m := new(dns.Msg)
	m.SetQuestion(lab.Domain+".", dns.TypeA)
	query, err := m.Pack()
	if err != nil {
		return err
	}
	return g.Do(func() error {
		for i := range 5500 {
			to := "198.51.100.2:53"
			if i >= 5000 {
				to = "10.0.2.3:53"
			}
			if err := askOnce(to, uint16(20_000+i), query); err != nil {
				return fmt.Errorf("query %d: %w", i, err)
			}
		}
		return nil
	})
}

// askOnce sends the query from the port, up to three times.
func askOnce(to string, port uint16, query []byte) error {
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("10.0.2.100"), port))}
	c, err := d.Dial("udp4", to)
	if err != nil {
		return err
	}
	defer c.Close()
	answer := make([]byte, unix.Getpagesize())
	for range 3 {
		if _, err = c.Write(query); err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err = c.Read(answer); err == nil {
			return nil
		}
	}
	return err
}
