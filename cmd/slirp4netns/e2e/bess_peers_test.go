package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// peers is how many guests the tests below have.
const peers = 8

// peerAddr is the address of a peer.
func peerAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 2, byte(100 + i)}) }

// TestBESSAllPairs: eight guests with a kernel each, and each reaches every
// other and the internet, and every pair carries TCP, four pairs at a time.
func TestBESSAllPairs(t *testing.T) {
	b, file := startBESS(t, bothLocks...)
	guests := make([]*lab.Guest, peers)
	servers := make([]*guestProgram, peers)
	served := make([]int, peers)
	for i := range guests {
		if i > 0 {
			file = b.Peer(t)
		}
		guests[i] = lab.NewGuest(t, lab.GuestOptions{})
		guests[i].Bridge(t, file, 1500, netip.PrefixFrom(peerAddr(i), 24))
		servers[i] = startInGuest(t, guests[i], "iperf3", "-s", "--forceflush")
	}
	for i, g := range guests {
		checkReachesHost(t, g)
		for j := range guests {
			if i != j {
				g.Run(t, commandTimeout, "ping", "-q", "-c1", "-W2", peerAddr(j).String())
			}
		}
	}
	for round := range peers - 1 {
		var all sync.WaitGroup
		for _, pair := range roundRobin(round) {
			// A server takes one client at a time, and says when.
			served[pair[1]]++
			servers[pair[1]].want("Server listening", served[pair[1]])
			all.Go(func() {
				from, to := guests[pair[0]], peerAddr(pair[1])
				if out, status := guestOutput(t, from, "iperf3", "-c", to.String(), "-n", "8M"); status != 0 {
					t.Errorf("iperf3 from %d to %d: status %d, %s", pair[0], pair[1], status, out)
				}
			})
		}
		all.Wait()
	}
}

// roundRobin are the pairs of a round, as in a tournament of all against all.
func roundRobin(round int) (pairs [][2]int) {
	const n = peers - 1
	pairs = append(pairs, [2]int{n, round})
	for k := 1; k < peers/2; k++ {
		pairs = append(pairs, [2]int{(round + k) % n, (round - k + n) % n})
	}
	return pairs
}

// member is a guest that comes and goes.
type member struct {
	guest  *lab.Guest
	addr   netip.Addr
	server *net.UDPConn // sends back what it gets
	client *net.UDPConn
	// What waits for the address of a peer that is away counts against the
	// socket that sent it: so the load has one of its own.
	load   *net.UDPConn
	bridge *lab.Bridge // nil: it is away
}

const memberPort = 7000

func newMember(t *testing.T, i int) *member {
	t.Helper()
	m := &member{guest: lab.NewGuest(t, lab.GuestOptions{}), addr: peerAddr(i)}
	if err := m.guest.Do(func() (err error) {
		if m.server, err = net.ListenUDP("udp4", &net.UDPAddr{Port: memberPort}); err == nil {
			m.client, err = net.ListenUDP("udp4", nil)
		}
		if err == nil {
			m.load, err = net.ListenUDP("udp4", nil)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.server.Close(); m.client.Close(); m.load.Close() })
	go func() {
		b := make([]byte, 2000)
		for {
			n, from, err := m.server.ReadFromUDPAddrPort(b)
			if err == nil {
				_, err = m.server.WriteToUDPAddrPort(b[:n], from)
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
		}
	}()
	return m
}

// reaches sends a datagram to another member and waits for it to come back. The
// kernel asks for the other's Ethernet address once a second, and while it
// waits for that, what is sent beside it may push the datagram out: so it is
// sent again.
func (m *member) reaches(to *member, number uint64) error {
	token := fmt.Sprint("token ", number)
	b := make([]byte, 2000)
	for deadline := time.Now().Add(3 * time.Second); ; {
		if _, err := m.client.WriteToUDPAddrPort([]byte(token), netip.AddrPortFrom(to.addr, memberPort)); err != nil && !errors.Is(err, unix.EHOSTUNREACH) {
			return err
		}
		m.client.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		for {
			n, _, err := m.client.ReadFromUDPAddrPort(b)
			if err != nil && time.Now().After(deadline) {
				return err
			}
			if err != nil {
				break
			}
			if string(b[:n]) == token {
				return nil
			}
		}
	}
}

// blast sends to all others, wherever they are, until stopped.
func (m *member) blast(all []*member, stop *atomic.Bool) {
	b := make([]byte, 1400)
	for !stop.Load() {
		for _, to := range all {
			if to != m {
				// Errors are of those who are away.
				m.load.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
				m.load.WriteToUDPAddrPort(b, netip.AddrPortFrom(to.addr, memberPort+1))
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// TestBESSJoinAndLeave: peers come and go in random order, amid traffic. Those
// who are there always reach each other. At the end nothing is left of those
// who went, no memory either.
func TestBESSJoinAndLeave(t *testing.T) {
	within := soakTime(t, 30*time.Second)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	api := filepath.Join(lab.TempDir(t, user), "api.sock")
	b, file := lab.StartBESS(t, lab.SlirpOptions{UID: user, Env: []string{collectOften}, Args: append([]string{"-a", api}, bothLocks...)})
	members := make([]*member, peers)
	for i := range members {
		members[i] = newMember(t, i)
	}
	join := func(m *member, file *os.File) {
		m.bridge = m.guest.Bridge(t, file, 1500, netip.PrefixFrom(m.addr, 24))
	}
	join(members[0], file)
	checkReachesHost(t, members[0].guest)
	fds, goroutines, resident := len(openFiles(t, b.Process.Pid)), goroutinesOf(t, api), residentKiB(t, b.Process.Pid)

	var stop atomic.Bool
	var blasts sync.WaitGroup
	for _, m := range members {
		blasts.Go(func() { m.blast(members, &stop) })
	}
	start, steps, checks := time.Now(), 0, uint64(0)
	for ; time.Since(start) < within && !t.Failed(); steps++ {
		m := members[1+rnd.IntN(peers-1)]
		if m.bridge != nil {
			m.bridge.Close()
			m.bridge = nil
		} else {
			join(m, b.Peer(t))
			if c, err := m.guest.Dial("tcp4", "10.0.2.2:8000", commandTimeout); err != nil {
				t.Errorf("%v does not reach the host: %v", m.addr, err)
			} else {
				c.Close()
			}
		}
		for _, from := range members {
			for _, to := range members {
				if from != to && from.bridge != nil && to.bridge != nil {
					checks++
					if err := from.reaches(to, checks); err != nil {
						t.Errorf("step %d, seed %d: %v does not reach %v: %v", steps, seed, from.addr, to.addr, err)
					}
				}
			}
		}
	}
	stop.Store(true)
	blasts.Wait()
	for _, m := range members[1:] {
		if m.bridge != nil {
			m.bridge.Close()
		}
	}
	now := residentKiB(t, b.Process.Pid)
	t.Logf("%d joined or left, %d exchanges, seed %d, %d KiB resident, %d at the start", steps, checks, seed, now, resident)
	if now > resident+peersKiB {
		t.Errorf("%d KiB resident, want at most %d more than %d", now, peersKiB, resident)
	}
	var left string
	for deadline := time.Now().Add(commandTimeout); ; time.Sleep(50 * time.Millisecond) {
		f, g := len(openFiles(t, b.Process.Pid)), goroutinesOf(t, api)
		if left = fmt.Sprintf("%d descriptors and %d goroutines, %d and %d at the start", f, g, fds, goroutines); f <= fds && g <= goroutines {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("there are still %s", left)
			break
		}
	}
	checkReachesHost(t, members[0].guest)
	checkIdle(t, b.Process.Pid)
}

const (
	// collectOften has little garbage count as memory: with the default it is
	// as much as what is in use, or 4 MiB.
	collectOften = "GOGC=20"
	// peersKiB is how much more resident memory may be after peers have come
	// and gone for however long: 3 MiB were seen, after 950 times as after
	// 5,100.
	peersKiB = 8 << 10
)

// goroutinesOf asks a slirp4netns how many goroutines it has.
func goroutinesOf(t *testing.T, api string) int {
	t.Helper()
	var reply struct {
		Return struct {
			Memory struct{ Goroutines int }
		}
	}
	text := askAPI(t, api, `{"execute":"query_stats"}`)
	if err := json.Unmarshal([]byte(text), &reply); err != nil || reply.Return.Memory.Goroutines == 0 {
		t.Fatalf("%v: %s", err, text)
	}
	return reply.Return.Memory.Goroutines
}
