package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// soakEnv is for how long the tests go on that soakTime is for: a time as of
// time.ParseDuration. make soak sets it.
const soakEnv = "SLIRP4NETNS_SOAK"

// soakTime is for how long a test goes on.
func soakTime(t *testing.T, otherwise time.Duration) time.Duration {
	t.Helper()
	s := os.Getenv(soakEnv)
	if s == "" {
		return otherwise
	}
	within, err := time.ParseDuration(s)
	if err != nil {
		t.Fatalf("%s: %v", soakEnv, err)
	}
	return within
}

// soak is a locked slirp4netns under load.
type soak struct {
	t     *testing.T
	g     *lab.Guest
	slirp *lab.Slirp
	api   string
	etc   string // a directory, which is the host's /etc for it
	until time.Time
	// descriptors is how many it may have.
	descriptors string
	// starved is held by who takes its descriptors away, and for reading by all
	// others while they need it to have some.
	starved sync.RWMutex
}

// soakPart is one kind of load; once is done over and over.
type soakPart struct {
	name string
	once func(s *soak, r *rand.Rand) error
	// pause is how long it waits in between, and in make test, where other tests
	// run beside it, ten times as long.
	pause time.Duration
	done  atomic.Int64
}

// TestSoak: both locks, the filter killing, the garbage collector at work all
// the time, and everything at once. Nothing fails, and nothing is killed.
func TestSoak(t *testing.T) {
	t.Parallel()
	within := 15 * time.Second
	if lab.Locked() {
		within = time.Minute
	}
	within = soakTime(t, within)
	s := startSoak(t, within)
	ms := time.Millisecond
	parts := []*soakPart{
		{name: "TCP out and back, 1 MiB", once: (*soak).echo, pause: ms},
		{name: "TCP in, 8 MiB", once: (*soak).bulk, pause: 10 * ms},
		{name: "storms of 50 connections", once: (*soak).storm, pause: ms},
		{name: "UDP", once: (*soak).udp, pause: ms},
		{name: "names by UDP", once: (*soak).nameByUDP, pause: ms},
		{name: "names by TCP", once: (*soak).nameByTCP, pause: ms},
		{name: "changes of resolv.conf", once: (*soak).changeResolvConf, pause: 50 * ms},
		{name: "pings", once: (*soak).ping, pause: 10 * ms},
		{name: "forwards made, used and removed", once: (*soak).forward, pause: 5 * ms},
		{name: "noise, in KiB", once: (*soak).noise, pause: 10 * ms},
		{name: "reports", once: (*soak).report, pause: 5 * ms},
		{name: "times without descriptors", once: (*soak).starve, pause: 100 * ms},
	}
	var all sync.WaitGroup
	for i, p := range parts {
		all.Go(func() { s.run(p, rand.New(rand.NewSource(int64(i)))) })
	}
	all.Wait()
	var counts []string
	for _, p := range parts {
		n := p.done.Load()
		counts = append(counts, fmt.Sprintf("%d %s", n, p.name))
		if n == 0 {
			t.Errorf("%s: not once", p.name)
		}
	}
	t.Logf("%v: %s; %d KiB resident", within, strings.Join(counts, ", "), residentKiB(t, s.slirp.Process.Pid))
	checkLocked(t, s.slirp.Process.Pid)
	checkReachesHost(t, s.g)
	if got := askAPI(t, s.api, `{"execute":"list_hostfwd"}`); got != `{"entries":[],"return":{"entries":[]}}` {
		t.Errorf("forwards are left: %s", got)
	}
}

// startSoak starts it, in a mount namespace with an /etc of its own, and what it
// speaks to.
func startSoak(t *testing.T, within time.Duration) *soak {
	t.Helper()
	s := &soak{t: t, g: lab.NewGuest(t, byUser), api: socketPath(t, user), etc: lab.TempDir(t, 0)}
	for i, server := range soakServers {
		hostDNS(t, server+":53", soakAnswer(i))
	}
	if err := s.writeResolvConf(0); err != nil {
		t.Fatal(err)
	}
	m := newMounts(t, "private", "mount --bind "+s.etc+" /etc")
	as := strings.Join(lab.AsUser(user), " ")
	// Collections follow each other at once, as if memory were short.
	s.slirp = lab.StartSlirp(t, lab.SlirpOptions{UID: 0, Env: []string{"GOMEMLIMIT=12MiB", "GOGC=20"},
		Args:   append(bothLocks[:2:2], "-c", "-a", s.api, strconv.Itoa(s.g.PID), "tap0"),
		Binary: script(t, 0, fmt.Sprintf(`exec nsenter -m -t %d -- %s %s "$@"`, m.pid, as, lab.Binary))})
	out, err := lab.Command(t.Context(), user, "prlimit", "--pid", strconv.Itoa(s.slirp.Process.Pid), "--nofile", "--noheadings", "--output=SOFT").Output()
	if s.descriptors = strings.TrimSpace(string(out)); err != nil || s.descriptors == "" {
		t.Fatalf("prlimit: %v, %q", err, out)
	}
	serveTCP(t, s.g, "0.0.0.0:80", func(c *net.TCPConn) { io.Copy(c, c) })
	s.until = time.Now().Add(within)
	return s
}

// run does p until the time is over or the test has failed.
func (s *soak) run(p *soakPart, r *rand.Rand) {
	pause := p.pause
	if os.Getenv(soakEnv) == "" {
		pause *= 10
	}
	for ; time.Now().Before(s.until) && !s.t.Failed(); time.Sleep(pause) {
		if p.name != "times without descriptors" {
			s.starved.RLock()
		}
		err := p.once(s, r)
		if p.name != "times without descriptors" {
			s.starved.RUnlock()
		}
		if err != nil {
			s.t.Errorf("%s, after %d: %v", p.name, p.done.Load(), err)
			return
		}
		p.done.Add(1)
	}
}

func (s *soak) dial(network, addr string) (net.Conn, error) {
	c, err := s.g.Dial(network, addr, commandTimeout)
	if err == nil {
		c.SetDeadline(time.Now().Add(commandTimeout))
	}
	return c, err
}

// echo sends a MiB and compares what comes back.
func (s *soak) echo(*rand.Rand) error {
	c, err := s.dial("tcp4", "198.51.100.2:7")
	if err != nil {
		return err
	}
	defer c.Close()
	const size = 1 << 20
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(c, lab.Stream(size))
		sent <- errors.Join(err, c.(*net.TCPConn).CloseWrite())
	}()
	got, err := lab.SHA256(c)
	want, _ := lab.SHA256(lab.Stream(size))
	if err = errors.Join(err, <-sent); err != nil || got != want {
		return fmt.Errorf("%s came back, want %s: %w", got, want, err)
	}
	return nil
}

// bulk takes 8 MiB and goes away, by RST half of the time.
func (s *soak) bulk(r *rand.Rand) error {
	c, err := s.dial("tcp4", []string{"198.51.100.2:19", "10.0.2.2:19"}[r.Intn(2)])
	if err != nil {
		return err
	}
	defer c.Close()
	if r.Intn(2) == 0 {
		c.(*net.TCPConn).SetLinger(0)
	}
	_, err = io.CopyN(io.Discard, c, 8<<20)
	return err
}

// storm is fifty connections at once, some of them refused.
func (s *soak) storm(r *rand.Rand) error {
	done := make(chan error)
	const connections = 50
	for i := range connections {
		go func() {
			done <- func() error {
				if i%10 == 0 {
					c, err := s.dial("tcp4", "10.0.2.2:2")
					if err == nil {
						c.Close()
					}
					if !errors.Is(err, unix.ECONNREFUSED) {
						return fmt.Errorf("closed port: %w", err)
					}
					return nil
				}
				c, err := s.dial("tcp4", "10.0.2.2:7")
				if err != nil {
					return err
				}
				defer c.Close()
				if i%2 == 0 { // else the guest runs out of ports: TIME-WAIT lasts a minute
					c.(*net.TCPConn).SetLinger(0)
				}
				return oneByte(c)
			}()
		}()
	}
	var err error
	for range connections {
		err = errors.Join(err, <-done)
	}
	return err
}

func (s *soak) udp(r *rand.Rand) error {
	return udpEcho(s.g, []string{"198.51.100.2:7", "10.0.2.2:7"}[r.Intn(2)], 1+r.Intn(8000))
}

// soakServers are the resolvers that resolv.conf names in turn.
var soakServers = []string{"127.0.0.111", "127.0.0.112"}

// soakAnswer is what one of them says.
func soakAnswer(i int) string { return "192.0.2." + strconv.Itoa(111+i) }

func (s *soak) nameByUDP(r *rand.Rand) error { return s.name("udp4", r) }
func (s *soak) nameByTCP(r *rand.Rand) error { return s.name("tcp4", r) }

func (s *soak) name(network string, r *rand.Rand) (err error) {
	for range 3 { // a query may get lost
		var got string
		if got, _, err = queryA(s.g, network, fmt.Sprintf("n%d.test", r.Int()), 2*time.Second); err == nil {
			if got != soakAnswer(0) && got != soakAnswer(1) {
				return fmt.Errorf("answer %s", got)
			}
			return nil
		}
	}
	return err
}

// changeResolvConf writes it, replaces it, or makes it a link.
func (s *soak) changeResolvConf(r *rand.Rand) error { return s.writeResolvConf(r.Intn(6)) }

func (s *soak) writeResolvConf(how int) error {
	conf := filepath.Join(s.etc, "resolv.conf")
	// Without an empty file in between: all texts are of one length.
	write := func(path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteString(nameservers(soakServers[how%2]))
		return errors.Join(err, f.Close())
	}
	switch how / 2 {
	case 0:
		return write(conf)
	case 1:
		if err := write(conf + ".new"); err != nil {
			return err
		}
		return os.Rename(conf+".new", conf)
	}
	target := conf + strconv.Itoa(how)
	if err := write(target); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Base(target), conf+".link"); err != nil {
		return err
	}
	return os.Rename(conf+".link", conf)
}

func (s *soak) ping(r *rand.Rand) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	out, err := s.g.Command(ctx, "ping", "-n", "-q", "-c", "3", "-i", "0.01", "-W", "5", "-s", strconv.Itoa(r.Intn(3000)), "198.51.100.2").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// forward is one of TCP, which carries something, and one of UDP.
func (s *soak) forward(r *rand.Rand) error {
	for _, proto := range []string{"tcp", "udp"} {
		port := 20_000 + r.Intn(5000)
		add := fmt.Sprintf(`{"execute":"add_hostfwd","arguments":{"proto":%q,"host_addr":"127.0.0.1","host_port":%d,"guest_port":80}}`, proto, port)
		reply, err := tryAskAPI(s.api, add)
		var id int
		if err == nil {
			_, err = fmt.Sscanf(reply, `{"return":{"id":%d`, &id)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", add, reply, err)
		}
		if proto == "tcp" {
			err = func() error {
				c, err := net.DialTimeout("tcp4", fmt.Sprintf("127.0.0.1:%d", port), commandTimeout)
				if err != nil {
					return err
				}
				defer c.Close()
				return oneByte(c)
			}()
		}
		reply, removed := tryAskAPI(s.api, fmt.Sprintf(`{"execute":"remove_hostfwd","arguments":{"id":%d}}`, id))
		if removed == nil && reply != `{"return":{}}` {
			removed = errors.New(reply)
		}
		if err = errors.Join(err, removed); err != nil {
			return err
		}
	}
	return nil
}

func (s *soak) noise(r *rand.Rand) error { return makeNoise(s.api, r, noise, 1024) }

func (s *soak) report(r *rand.Rand) error {
	verb := []string{"query_info", "query_stats", "list_flows"}[r.Intn(3)]
	reply, err := tryAskAPI(s.api, `{"execute":"`+verb+`"}`)
	if err != nil || !strings.HasPrefix(reply, `{"return":{`) {
		return fmt.Errorf("%s: %s, %w", verb, reply, err)
	}
	return nil
}

// starve takes all descriptors away while nobody needs any, has new connections,
// flows and resolv.conf fail for the want of one, and gives them back.
func (s *soak) starve(r *rand.Rand) error {
	s.starved.Lock()
	defer s.starved.Unlock()
	if err := s.limit("1"); err != nil {
		return err
	}
	c, err := s.dial("tcp4", "198.51.100.2:7")
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, unix.ENETUNREACH) {
		return fmt.Errorf("TCP without descriptors: %w", err)
	}
	// What comes of these is not looked at: they are refused, or lost.
	if err := s.g.Do(func() error {
		for _, to := range []string{"198.51.100.2:7", "10.0.2.3:53"} {
			u, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
			if err != nil {
				return err
			}
			u.Write(make([]byte, 20))
			u.Close()
		}
		return nil
	}); err != nil {
		return err
	}
	if err := s.writeResolvConf(r.Intn(6)); err != nil {
		return err
	}
	time.Sleep(20 * time.Millisecond)
	return s.limit(s.descriptors)
}

func (s *soak) limit(n string) error {
	out, err := lab.Command(context.Background(), user, "prlimit", "--pid", strconv.Itoa(s.slirp.Process.Pid), "--nofile="+n+":").CombinedOutput()
	if err != nil {
		return fmt.Errorf("prlimit: %w: %s", err, out)
	}
	return nil
}
