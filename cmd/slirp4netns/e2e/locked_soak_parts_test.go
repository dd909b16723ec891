package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// ipVersion is what the guest reaches, and by what it is reached.
type ipVersion struct {
	digit    string
	inet     string
	gateway  string // behind which is the host's loopback
	loopback string // of the host
	guest    string
}

var ipVersions = []ipVersion{
	{"4", "198.51.100.2", "10.0.2.2", "127.0.0.1", "10.0.2.100"},
	{"6", "2001:db8:100::2", gateway6, "::1", guest6},
}

// either is inet or the gateway, with a port.
func (v ipVersion) either(r *rand.Rand, port string) string {
	return net.JoinHostPort([]string{v.inet, v.gateway}[r.Intn(2)], port)
}

func (s *soak) dial(network, addr string) (net.Conn, error) {
	c, err := s.g.Dial(network, addr, commandTimeout)
	if err == nil {
		c.SetDeadline(time.Now().Add(commandTimeout))
	}
	return c, err
}

// echo sends a MiB and compares what comes back.
func (s *soak) echo(v ipVersion, _ *rand.Rand) error {
	c, err := s.dial("tcp", net.JoinHostPort(v.inet, "7"))
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
func (s *soak) bulk(v ipVersion, r *rand.Rand) error {
	c, err := s.dial("tcp", v.either(r, "19"))
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
func (s *soak) storm(v ipVersion, _ *rand.Rand) error {
	done := make(chan error)
	const connections = 50
	for i := range connections {
		go func() {
			done <- func() error {
				if i%10 == 0 {
					c, err := s.dial("tcp", net.JoinHostPort(v.gateway, "2"))
					if err == nil {
						c.Close()
					}
					if !errors.Is(err, unix.ECONNREFUSED) {
						return fmt.Errorf("closed port: %w", err)
					}
					return nil
				}
				c, err := s.dial("tcp", net.JoinHostPort(v.gateway, "7"))
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

func (s *soak) udp(v ipVersion, r *rand.Rand) error {
	return udpEcho(s.g, v.either(r, "7"), 1+r.Intn(8000))
}

// soakServers are the resolvers that resolv.conf names in turn.
var soakServers = []string{"127.0.0.111", "127.0.0.112"}

// soakAnswer is what one of them says.
func soakAnswer(i int) string { return "192.0.2." + strconv.Itoa(111+i) }

func (s *soak) nameByUDP(v ipVersion, r *rand.Rand) error { return s.name("udp"+v.digit, r) }
func (s *soak) nameByTCP(v ipVersion, r *rand.Rand) error { return s.name("tcp"+v.digit, r) }

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

func (s *soak) ping(v ipVersion, r *rand.Rand) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	out, err := s.g.Command(ctx, "ping", "-n", "-q", "-c", "3", "-i", "0.01", "-W", "5", "-s", strconv.Itoa(r.Intn(3000)), v.inet).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (s *soak) forwardTCP(v ipVersion, r *rand.Rand) error {
	return s.forward(v, r, "tcp", func(c net.Conn) error { return oneByte(c) })
}

func (s *soak) forwardUDP(v ipVersion, r *rand.Rand) error {
	return s.forward(v, r, "udp", func(c net.Conn) error { return echoDatagram(c, 1+r.Intn(8000)) })
}

// forward makes one from the host's loopback, uses it, and removes it.
func (s *soak) forward(v ipVersion, r *rand.Rand, proto string, use func(net.Conn) error) error {
	port := 20_000 + r.Intn(5000)
	add := fmt.Sprintf(`{"execute":"add_hostfwd","arguments":{"proto":%q,"host_addr":%q,"host_port":%d,"guest_addr":%q,"guest_port":80}}`,
		proto, v.loopback, port, v.guest)
	reply, err := tryAskAPI(s.api, add)
	var id int
	if err == nil {
		_, err = fmt.Sscanf(reply, `{"return":{"id":%d`, &id)
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", add, reply, err)
	}
	c, err := net.DialTimeout(proto, net.JoinHostPort(v.loopback, strconv.Itoa(port)), commandTimeout)
	if err == nil {
		err = use(c)
		c.Close()
	}
	reply, removed := tryAskAPI(s.api, fmt.Sprintf(`{"execute":"remove_hostfwd","arguments":{"id":%d}}`, id))
	if removed == nil && reply != `{"return":{}}` {
		removed = errors.New(reply)
	}
	return errors.Join(err, removed)
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
	for _, v := range ipVersions {
		c, err := s.dial("tcp", net.JoinHostPort(v.inet, "7"))
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, unix.ENETUNREACH) {
			return fmt.Errorf("TCP over IPv%s without descriptors: %w", v.digit, err)
		}
	}
	// What comes of these is not looked at: they are refused, or lost.
	for _, to := range []string{"198.51.100.2:7", "[2001:db8:100::2]:7", relay, relay6} {
		u, err := s.dial("udp", to)
		if err != nil {
			return err
		}
		u.Write(make([]byte, 20))
		u.Close()
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
