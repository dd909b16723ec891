package e2e

import (
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// starving is the part in whose time nobody else needs descriptors.
const starving = "times without descriptors"

// TestSoak: both locks, the filter killing, the garbage collector at work all
// the time, and everything at once, over both IP versions. Nothing fails, and
// nothing is killed.
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
		{name: "changes of resolv.conf", once: (*soak).changeResolvConf, pause: 50 * ms},
		{name: "noise, in KiB", once: (*soak).noise, pause: 10 * ms},
		{name: "reports", once: (*soak).report, pause: 5 * ms},
		{name: starving, once: (*soak).starve, pause: 100 * ms},
	}
	for _, v := range ipVersions {
		for _, p := range []struct {
			name  string
			once  func(s *soak, v ipVersion, r *rand.Rand) error
			pause time.Duration
		}{
			{"TCP out and back, 1 MiB", (*soak).echo, ms},
			{"TCP in, 8 MiB", (*soak).bulk, 10 * ms},
			{"storms of 50 connections", (*soak).storm, ms},
			{"UDP", (*soak).udp, ms},
			{"names by UDP", (*soak).nameByUDP, ms},
			{"names by TCP", (*soak).nameByTCP, ms},
			{"pings", (*soak).ping, 10 * ms},
			{"forwards of TCP made, used and removed", (*soak).forwardTCP, 5 * ms},
			{"forwards of UDP made, used and removed", (*soak).forwardUDP, 5 * ms},
		} {
			once := func(s *soak, r *rand.Rand) error { return p.once(s, v, r) }
			parts = append(parts, &soakPart{name: "IPv" + v.digit + ": " + p.name, once: once, pause: p.pause})
		}
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
		Args:   append(bothLocks[:2:2], "-c", "-6", "-a", s.api, strconv.Itoa(s.g.PID), "tap0"),
		Binary: script(t, 0, fmt.Sprintf(`exec nsenter -m -t %d -- %s %s "$@"`, m.pid, as, lab.Binary))})
	out, err := lab.Command(t.Context(), user, "prlimit", "--pid", strconv.Itoa(s.slirp.Process.Pid), "--nofile", "--noheadings", "--output=SOFT").Output()
	if s.descriptors = strings.TrimSpace(string(out)); err != nil || s.descriptors == "" {
		t.Fatalf("prlimit: %v, %q", err, out)
	}
	// In the guest, on both IP versions.
	serveTCP(t, s.g, ":80", func(c *net.TCPConn) { io.Copy(c, c) })
	serveUDP(t, s.g, "[::]:80", func(payload string, _ netip.AddrPort) string { return payload })
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
		if p.name != starving {
			s.starved.RLock()
		}
		err := p.once(s, r)
		if p.name != starving {
			s.starved.RUnlock()
		}
		if err != nil {
			s.t.Errorf("%s, after %d: %v", p.name, p.done.Load(), err)
			return
		}
		p.done.Add(1)
	}
}
