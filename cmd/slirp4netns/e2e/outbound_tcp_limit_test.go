package e2e

import (
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// The guest makes more connections than there are descriptors for. The last
// ones are refused at once; those that there are go on, UDP, DNS and pings
// have descriptors of their own, and what is closed can be used again. C lets
// connections take all, and then there is no UDP.
func TestTCPFewDescriptors(t *testing.T) {
	_, server := serveUDP(t, lab.Inet, "198.51.100.2:0", whoami)
	for name, binary := range map[string]string{"ours": "", "C": lab.Reference} {
		t.Run(name, func(t *testing.T) {
			g, slirp := guestOf(t, limited(t, binary), lab.OrdinaryUID)
			var conns []net.Conn
			defer func() {
				for _, c := range conns {
					c.Close()
				}
			}()
			for {
				start := time.Now()
				c, err := g.Dial("tcp4", "198.51.100.2:7", commandTimeout)
				if err == nil {
					if conns = append(conns, c); len(conns) > fewDescriptors {
						t.Fatalf("%d connections with %d descriptors", len(conns), fewDescriptors)
					}
					continue
				}
				if errno(err) != unix.ENETUNREACH || time.Since(start) > time.Second {
					t.Errorf("connection %d: %v after %v, want ENETUNREACH at once", len(conns), err, time.Since(start))
				}
				break
			}
			t.Logf("%d connections, %d descriptors", len(conns), openDescriptors(t, slirp.Process.Pid))
			s := newUDP(t, g)
			s.send("who am I?", server)
			b, _ := s.receiveBytes(time.Second)
			if works := len(b) != 0; works != (name == "ours") {
				t.Errorf("UDP works: %v", works)
			}
			if name == "C" {
				return
			}
			if len(conns) < fewDescriptors/4 {
				t.Errorf("only %d connections with %d descriptors", len(conns), fewDescriptors)
			}
			if out := g.Run(t, commandTimeout, "dig", "+short", "@10.0.2.3", lab.Domain, "A"); strings.TrimSpace(out) != "198.51.100.2" {
				t.Errorf("dig: %q", out)
			}
			if got := pingSays(t, g, "198.51.100.2"); !strings.HasPrefix(got, "reply") {
				t.Errorf("ping: %q", got)
			}
			for _, c := range conns {
				echoOnce(t, c)
			}
			for _, c := range conns[:10] {
				c.Close()
			}
			if !eventually(func() bool {
				c, err := g.Dial("tcp4", "198.51.100.2:7", commandTimeout)
				if err == nil {
					c.Close()
				}
				return err == nil
			}, false) {
				t.Error("no new connection after others have ended")
			}
		})
	}
}
