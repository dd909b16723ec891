package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// silent is a guest with a kernel and fixed addresses, that says nothing until
// it is asked, and then who is asking.
type silent struct {
	guest  *lab.Guest
	bridge *lab.Bridge
	v4, v6 netip.Addr
}

func newSilent(t *testing.T, file *os.File, i int) *silent {
	t.Helper()
	s := &silent{guest: lab.NewGuest(t, lab.GuestOptions{}), v4: peerAddr(i), v6: netip.MustParseAddr(fmt.Sprintf("fd00::%d", 100+i))}
	s.join(t, file)
	serveTCP(t, s.guest, ":80", tellPeer)
	serveUDP(t, s.guest, "0.0.0.0:80", whoami)
	serveUDP6(t, s.guest, fmt.Sprintf("[%v]:80", s.v6))
	return s
}

// join plugs it in.
func (s *silent) join(t *testing.T, file *os.File) {
	t.Helper()
	s.bridge = s.guest.Bridge(t, file, 1500, netip.PrefixFrom(s.v4, 24))
	s.guest.Run(t, commandTimeout, "ip", "address", "add", s.v6.String()+"/64", "dev", "tap0", "nodad")
}

// forwardsTo are the ports that lead to an address's port 80.
func forwardsTo(t *testing.T, api string, addr netip.Addr) (tcp, udp int) {
	t.Helper()
	_, tcp = forwardTo(t, api, "tcp", "127.0.0.1", 0, addr.String(), 80)
	_, udp = forwardTo(t, api, "udp", "127.0.0.1", 0, addr.String(), 80)
	return tcp, udp
}

// answers tells whether who is behind two ports answers the first thing that it
// is sent, at once.
func answers(tcp, udp int) error {
	const soon = 2 * time.Second // and a lost SYN is sent again after 1 s
	c, err := net.DialTimeout("tcp", fmt.Sprint("127.0.0.1:", tcp), soon)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(soon))
	if got, err := readAll(c); err != nil || got == "" {
		return fmt.Errorf("TCP: %q, %v", got, err)
	}
	u, err := net.Dial("udp", fmt.Sprint("127.0.0.1:", udp))
	if err != nil {
		return err
	}
	defer u.Close()
	fmt.Fprint(u, "who am I?")
	u.SetDeadline(time.Now().Add(soon))
	if n, err := u.Read(make([]byte, 100)); err != nil || n == 0 {
		return fmt.Errorf("UDP: %v", err)
	}
	return nil
}

// TestSilentPeers: forwards reach guests on sockets that have never said a word,
// and those that come back as another machine. Who is nobody's is found out.
func TestSilentPeers(t *testing.T) {
	for name, start := range map[string]func(*testing.T, string) (first *os.File, peer func() *os.File){
		"switch": func(t *testing.T, api string) (*os.File, func() *os.File) {
			b, file := startBESS(t, append([]string{"-a", api, "--enable-ipv6"}, bothLocks...)...)
			return file, func() *os.File { return b.Peer(t) }
		},
		"tapfd": func(t *testing.T, api string) (*os.File, func() *os.File) {
			_, file := tapfdSocket(t, unix.SOCK_DGRAM, append([]string{"-a", api, "--enable-ipv6"}, bothLocks...)...)
			return file, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := filepath.Join(lab.TempDir(t, user), "api.sock")
			file, peer := start(t, api)
			one := newSilent(t, file, 0)
			check := func(s *silent, when string) {
				t.Helper()
				for _, a := range []netip.Addr{s.v4, s.v6} {
					tcp, udp := forwardsTo(t, api, a)
					if err := answers(tcp, udp); err != nil {
						t.Errorf("%v, %s: %v", a, when, err)
					}
				}
			}
			check(one, "silent so far")
			checkNobody(t, api)
			if peer == nil {
				return
			}
			two := newSilent(t, peer(), 1)
			check(two, "another one")
			check(one, "still there")
			two.bridge.Close()
			two.join(t, peer())
			two.guest.Run(t, commandTimeout, "ip", "link", "set", "tap0", "address", "02:00:00:00:00:99")
			check(two, "as another machine")
			check(one, "and the other one")
		})
	}
}

// checkNobody: a client of a forward to an address that nobody has is told as
// soon as that is known, and not sooner.
func checkNobody(t *testing.T, api string) {
	t.Helper()
	type result struct {
		addr  string
		err   error
		after time.Duration
	}
	nobody := []string{"10.0.2.77", "fd00::77", "fe80::77"}
	done := make(chan result, len(nobody))
	for _, a := range nobody {
		tcp, _ := forwardsTo(t, api, netip.MustParseAddr(a))
		c := dialHost(t, tcp)
		start := time.Now()
		go func() {
			c.SetDeadline(time.Now().Add(commandTimeout))
			_, err := c.Read(make([]byte, 1))
			done <- result{a, err, time.Since(start)}
		}()
	}
	for range nobody {
		if r := <-done; errno(r.err) != unix.ECONNRESET || r.after < 2500*time.Millisecond || r.after > 4500*time.Millisecond {
			t.Errorf("%s: %v after %v, want a reset after 3 s", r.addr, r.err, r.after)
		}
	}
}

// TestBESSNeighbourFlood: a peer that makes up addresses, and machines to go with
// them, has nobody else forgotten.
func TestBESSNeighbourFlood(t *testing.T) {
	t.Parallel()
	api := filepath.Join(lab.TempDir(t, user), "api.sock")
	b, first := startBESS(t, append([]string{"-a", api}, bothLocks...)...)
	victim := newStation(t, first, "10.0.2.100")
	victim.resolve("10.0.2.2")
	flood := newStation(t, b.Peer(t), "10.0.2.101")
	const many = 2000
	for i := range many {
		flood.addr = netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		flood.mac = [6]byte{2, 9, 9, 9, byte(i >> 8), byte(i)}
		flood.send(flood.ethernet(everybody, protoARP, arp(1, flood.mac, flood.addr, [6]byte{}, netip.MustParseAddr("10.0.2.2"))))
		flood.want("reply", func(f []byte) bool { return [6]byte(f[:6]) == flood.mac })
	}
	tcp, _ := forwardsTo(t, api, victim.addr)
	dialHost(t, tcp)
	victim.want("SYN, and no question before it", func(f []byte) bool {
		if binary.BigEndian.Uint16(f[12:]) == protoARP && [4]byte(f[38:42]) == victim.addr.As4() {
			t.Error("its address was forgotten")
		}
		return len(f) >= 54 && f[23] == unix.IPPROTO_TCP && header.TCP(f[34:]).Flags() == header.TCPFlagSyn
	})
	if kib := residentKiB(t, b.Process.Pid); strings.Contains(b.Log(), "panic") || kib > 60<<10 {
		t.Errorf("%d KiB resident", kib)
	}
}
