package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// Descriptors run out while the program runs: here because its limit is taken
// away. What there is goes on, what is new is refused at once, by TCP, UDP and
// ping, and all is well when descriptors are back.
func TestNoDescriptors(t *testing.T) {
	_, server := serveUDP(t, lab.Inet, "198.51.100.2:0", whoami)
	g, slirp := connectedGuest(t)
	old, err := g.Dial("tcp4", "198.51.100.2:7", commandTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	echoOnce(t, old)
	oldUDP := newUDP(t, g)
	ask := func(s *udpSocket) string {
		s.send("who am I?", server)
		b, _ := s.receiveBytes(time.Second)
		return string(b)
	}
	before := ask(oldUDP)
	if before == "" {
		t.Fatal("no answer by UDP")
	}

	limit := func(n string) {
		t.Helper()
		// The user may do that to what is his, up to the hard limit.
		out, err := lab.Command(t.Context(), lab.OrdinaryUID, "prlimit", "--pid", fmt.Sprint(slirp.Process.Pid), "--nofile="+n+":").CombinedOutput()
		if err != nil {
			t.Fatalf("prlimit: %v\n%s", err, out)
		}
	}
	limit("1")
	start := time.Now()
	c, err := g.Dial("tcp4", "198.51.100.2:7", commandTimeout)
	if err == nil {
		c.Close()
		t.Fatal("a connection without a descriptor")
	}
	if errno(err) != unix.ENETUNREACH {
		t.Errorf("TCP: %v, want ENETUNREACH", err)
	}
	s := newUDP(t, g)
	s.connect(server)
	s.send("who am I?", server)
	if got := s.fault(time.Second); !strings.HasPrefix(got, "ENETUNREACH 3/0 from 10.0.2.2") {
		t.Errorf("UDP: %q, want ENETUNREACH 3/0 from 10.0.2.2", got)
	}
	if got := pingSays(t, g, "198.51.100.2"); !strings.Contains(got, "Unreachable") {
		t.Errorf("ping: %q, want it unreachable", got)
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("the errors took %v", d)
	}
	echoOnce(t, old)
	if got := ask(oldUDP); got != before {
		t.Errorf("the flow from before: %q, want %q", got, before)
	}

	limit("1024")
	c, err = g.Dial("tcp4", "198.51.100.2:7", commandTimeout)
	if err != nil {
		t.Fatalf("descriptors are back: %v", err)
	}
	defer c.Close()
	echoOnce(t, c)
	if got := ask(newUDP(t, g)); got == "" {
		t.Error("descriptors are back: no answer by UDP")
	}
	if got := pingSays(t, g, "198.51.100.2"); !strings.HasPrefix(got, "reply") {
		t.Errorf("descriptors are back: ping: %q", got)
	}
	echoOnce(t, old)
}

// The limit on descriptors is raised as far as the user may, but for one, which
// is how Go tells its own limit from the user's. C leaves it.
func TestDescriptorLimit(t *testing.T) {
	for name, binary := range map[string]string{"ours": "", "C": lab.Reference} {
		t.Run(name, func(t *testing.T) {
			path := afterwards(t, "ulimit -Sn 256; ulimit -Hn 2000", binary)
			_, slirp := guestOf(t, path, lab.OrdinaryUID)
			limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", slirp.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"ours": "1999 2000", "C": "256 2000"}[name]
			for line := range strings.Lines(string(limits)) {
				if soft, ok := strings.CutPrefix(line, "Max open files"); ok && !strings.HasPrefix(strings.Join(strings.Fields(soft), " "), want) {
					t.Errorf("limits %s, want %s", soft, want)
				}
			}
		})
	}
}
