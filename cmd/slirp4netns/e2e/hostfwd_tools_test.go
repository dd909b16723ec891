package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// socketPath is a path for a control socket of a user's slirp4netns.
func socketPath(t *testing.T, uid int) string {
	t.Helper()
	return filepath.Join(lab.TempDir(t, uid), "api")
}

// controlled is a guest whose slirp4netns has a control socket.
func controlled(t *testing.T, args ...string) (*lab.Guest, *lab.Slirp, string) {
	t.Helper()
	return controlledBy(t, "", args...)
}

// controlledBy is controlled by a certain program.
func controlledBy(t *testing.T, binary string, args ...string) (*lab.Guest, *lab.Slirp, string) {
	t.Helper()
	g := lab.NewGuest(t, lab.GuestOptions{})
	path := socketPath(t, g.UID)
	args = slices.Concat([]string{"-c", "--api-socket=" + path}, args, []string{fmt.Sprint(g.PID), "tap0"})
	return g, lab.StartSlirp(t, lab.SlirpOptions{Binary: binary, UID: g.UID, Args: args}), path
}

// controlledByBoth runs a test against our program and against the C program,
// which is there to show the difference.
func controlledByBoth(t *testing.T, args []string, test func(t *testing.T, g *lab.Guest, path string, c bool)) {
	for _, c := range []bool{false, true} {
		name, binary := "ours", ""
		if c {
			name, binary = "C", lab.Reference
		}
		t.Run(name, func(t *testing.T) {
			g, _, path := controlledBy(t, binary, args...)
			test(t, g, path, c)
		})
	}
}

// askAPI sends a request, half-closes the connection and returns the reply.
func askAPI(t *testing.T, path, request string) string {
	t.Helper()
	reply, err := tryAskAPI(path, request)
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	return reply
}

func tryAskAPI(path, request string) (string, error) {
	c, err := net.DialTimeout("unix", path, commandTimeout)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(commandTimeout))
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

// forward adds a forward and returns its ID and port. Port 0 is a free one, which
// has to be found for the C program.
func forward(t *testing.T, path, proto, host string, hostPort, guestPort int) (id, port int) {
	t.Helper()
	return forwardTo(t, path, proto, host, hostPort, "", guestPort)
}

func forwardTo(t *testing.T, path, proto, host string, hostPort int, guest string, guestPort int) (id, port int) {
	t.Helper()
	if hostPort == 0 && os.Getenv(lab.BinaryEnv) == lab.Reference {
		hostPort = freePort(t)
	}
	request := fmt.Sprintf(`{"execute":"add_hostfwd","arguments":{"proto":%q,"host_addr":%q,"host_port":%d,"guest_addr":%q,"guest_port":%d}}`,
		proto, host, hostPort, guest, guestPort)
	text := askAPI(t, path, request)
	var reply struct {
		Return *struct {
			ID       int
			HostPort int `json:"host_port"`
		}
	}
	if err := json.Unmarshal([]byte(text), &reply); err != nil || reply.Return == nil {
		t.Fatalf("%s: %s", request, text)
	}
	if hostPort != 0 {
		return reply.Return.ID, hostPort
	}
	return reply.Return.ID, reply.Return.HostPort
}

// freePort is a port that nothing on the host has, for TCP nor UDP.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := int(lastPort.Add(1))
		l, err := net.Listen("tcp", fmt.Sprintf("[::]:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		if c, err := net.ListenPacket("udp", fmt.Sprintf("[::]:%d", port)); err == nil {
			c.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// lastPort is the last one that freePort looked at. They are below those that
// the kernel chooses, which flows of other tests have, and none comes twice.
var lastPort = func() *atomic.Int32 {
	p := new(atomic.Int32)
	p.Store(24000)
	return p
}()

// serveTCP accepts connections in a namespace.
func serveTCP(t *testing.T, ns namespace, addr string, handle func(*net.TCPConn)) {
	t.Helper()
	var l net.Listener
	if err := ns.Do(func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	}); err != nil {
		t.Fatalf("listen on %s: %v", addr, err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			}()
		}
	}()
}

// tellPeer says who the client is.
func tellPeer(c *net.TCPConn) { fmt.Fprint(c, c.RemoteAddr()) }

// client is where a connection or a datagram comes from.
type client struct {
	name string
	ns   namespace // nil: the host
	from string    // the address that it is bound to; "": the kernel chooses
	to   string    // the host's address that it asks
}

// dial makes a connected socket.
func (c client) dial(network string, port int) (conn net.Conn, err error) {
	d := net.Dialer{Timeout: commandTimeout}
	if c.from != "" {
		at := netip.AddrPortFrom(netip.MustParseAddr(c.from), 0)
		if network[:3] == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(at)
		} else {
			d.LocalAddr = net.TCPAddrFromAddrPort(at)
		}
	}
	do := func() error {
		conn, err = d.Dial(network, net.JoinHostPort(c.to, fmt.Sprint(port)))
		return err
	}
	if c.ns == nil {
		err = do()
	} else {
		err = c.ns.Do(do)
	}
	if err == nil {
		conn.SetDeadline(time.Now().Add(commandTimeout))
	}
	return conn, err
}

// linkLocal is the link-local address of an interface in a namespace, with its
// zone, once it may be used.
func linkLocal(t *testing.T, ns namespace, link string) string {
	t.Helper()
	var found string
	await(t, "link-local address of "+link, func() bool {
		ns.Do(func() error {
			ifi, err := net.InterfaceByName(link)
			if err != nil {
				return err
			}
			addrs, err := ifi.Addrs()
			for _, a := range addrs {
				if n, ok := a.(*net.IPNet); ok && n.IP.IsLinkLocalUnicast() && n.IP.To4() == nil {
					l, err := net.ListenUDP("udp", &net.UDPAddr{IP: n.IP, Zone: link})
					if err != nil {
						return err // tentative
					}
					l.Close()
					found = n.IP.String()
				}
			}
			return err
		})
		return found != ""
	})
	return found
}

// fds is how many descriptors a process has.
func fds(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// listed are the forwards.
func listed(t *testing.T, path string) []map[string]any {
	t.Helper()
	var reply struct {
		Entries []map[string]any
		Return  struct{ Entries []map[string]any }
	}
	text := askAPI(t, path, `{"execute":"list_hostfwd"}`)
	if err := json.Unmarshal([]byte(text), &reply); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(reply.Entries) != len(reply.Return.Entries) {
		t.Errorf("two lists that differ: %s", text)
	}
	return reply.Entries
}

// dialAPI connects to a control socket.
func dialAPI(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.DialTimeout("unix", path, commandTimeout)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(2 * commandTimeout))
	t.Cleanup(func() { c.Close() })
	return c.(*net.UnixConn)
}
