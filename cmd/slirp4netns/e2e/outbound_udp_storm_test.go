package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// fewDescriptors is a low RLIMIT_NOFILE.
const fewDescriptors = 256

// limited is a program that runs binary with few descriptors.
func limited(t *testing.T, binary string) string {
	t.Helper()
	return afterwards(t, fmt.Sprintf("ulimit -n %d", fewDescriptors), binary)
}

// afterwards is a program that does something in a shell and then becomes a
// slirp4netns: ours if binary is empty.
func afterwards(t *testing.T, what, binary string) string {
	t.Helper()
	if binary == "" {
		lab.RequireBinary(t)
		binary = lab.Binary
	}
	path := filepath.Join(lab.TempDir(t, lab.OrdinaryUID), "slirp4netns")
	script := fmt.Sprintf("#!/bin/sh\n%s\nexec %s \"$@\"\n", what, binary)
	if err := lab.WriteExecutable(path, script); err != nil {
		t.Fatal(err)
	}
	return path
}

// openDescriptors is how many descriptors a process has.
func openDescriptors(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// burst sends payload to dst from count ports of the guest, from first on, a
// socket for each.
func burst(t *testing.T, g *lab.Guest, first, count int, payload, dst string) {
	t.Helper()
	if err := g.Do(func() error {
		for port := first; port < first+count; port++ {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: port})
			if err == nil {
				err = unix.Sendto(fd, []byte(payload), 0, sockaddr(dst))
			}
			unix.Close(fd)
			if err != nil {
				return fmt.Errorf("port %d: %w", port, err)
			}
			if port%200 == 0 {
				time.Sleep(5 * time.Millisecond) // the TAP's queue is short
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// storms are what must not exhaust descriptors.
var storms = []struct {
	name, dst string
	payload   func() string
}{
	{"port scan", "203.0.113.99:4444", func() string { return "scan" }},
	{"answered", "198.51.100.2:7", func() string { return "scan" }},
	{"DNS", "10.0.2.3:53", query},
	{"DNS past the nameserver", "203.0.113.99:53", query},
}

// query is a DNS query in wire format.
func query() string {
	b, err := new(dns.Msg).SetQuestion(dns.Fqdn(lab.Domain), dns.TypeA).Pack()
	if err != nil {
		panic(err)
	}
	return string(b)
}

// 5,000 ports of the guest send at once, while one flow and a connection live
// on and new connections are made: with descriptors in plenty and with few.
func TestUDPStorm(t *testing.T) {
	_, server := serveUDP(t, lab.Inet, "198.51.100.2:0", whoami)
	for name, binary := range map[string]string{"usual limit": "", "256 descriptors": limited(t, "")} {
		t.Run(name, func(t *testing.T) {
			g, slirp := guestOf(t, binary, lab.OrdinaryUID)
			for _, storm := range storms {
				live := newUDP(t, g)
				// A datagram may be lost where the storm has filled the TAP's
				// queue in the guest's kernel: a client asks again.
				ask := func() string {
					for range 3 {
						live.send("who am I?", server)
						if b, _ := live.receiveBytes(time.Second); len(b) != 0 {
							return string(b)
						}
					}
					return ""
				}
				ask()
				before := ask() // a conversation, not one more probe
				conn, err := g.Dial("tcp4", "198.51.100.2:7", commandTimeout)
				if err != nil {
					t.Fatalf("%s: %v", storm.name, err)
				}
				defer conn.Close()
				for part := range 5 {
					burst(t, g, 20000+1000*part, 1000, storm.payload(), storm.dst)
					if got := ask(); got == "" || got != before {
						t.Errorf("%s: the live flow has address %q, was %q", storm.name, got, before)
					}
					if got := curl(t, g, "http://198.51.100.2/"); got != lab.InetPage {
						t.Errorf("%s: curl %q", storm.name, got)
					}
					if n := openDescriptors(t, slirp.Process.Pid); binary != "" && n > fewDescriptors*3/4 {
						t.Errorf("%s: %d descriptors of %d are in use", storm.name, n, fewDescriptors)
					}
				}
				out := g.Run(t, commandTimeout, "dig", "+short", "+tries=2", "+time=2", "@10.0.2.3", lab.Domain, "A")
				if strings.TrimSpace(out) != "198.51.100.2" {
					t.Errorf("%s: dig %q", storm.name, out)
				}
				echoOnce(t, conn.(interface {
					Write([]byte) (int, error)
					Read([]byte) (int, error)
				}))
			}
		})
	}
}

// echoOnce sends a byte and expects it back.
func echoOnce(t *testing.T, conn interface {
	Write([]byte) (int, error)
	Read([]byte) (int, error)
}) {
	t.Helper()
	b := make([]byte, 1)
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Errorf("old connection: %v", err)
	} else if _, err := conn.Read(b); err != nil || b[0] != 'x' {
		t.Errorf("old connection: %q, %v", b, err)
	}
}

// C has no bound but the limit, and then no descriptor for a connection.
func TestUDPStormExhaustsC(t *testing.T) {
	g, slirp := guestOf(t, limited(t, lab.Reference), lab.OrdinaryUID)
	burst(t, g, 20000, 1000, "scan", "203.0.113.99:4444")
	if n := openDescriptors(t, slirp.Process.Pid); n < fewDescriptors {
		t.Errorf("C has %d descriptors open, want all %d", n, fewDescriptors)
	}
	if out, status := guestOutput(t, g, "curl", "--silent", "--show-error", "--max-time", "5", "http://198.51.100.2/"); status == 0 {
		t.Errorf("C connects all the same: %q", out)
	}
}
