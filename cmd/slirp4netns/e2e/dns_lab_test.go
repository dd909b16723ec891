package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// The relay as the guest sees it, and servers that nobody has.
const (
	relay  = "10.0.2.3:53"
	relay6 = "[" + nameserver6 + "]:53"
	// silentServer drops what is sent to it; closedServer refuses it.
	silentServer = "192.0.2.1"
	closedServer = "198.51.100.1"
)

// hostEtc gives the host an /etc of its own for the time of a test, in which
// files can be renamed, and returns the path of its resolv.conf.
func hostEtc(t *testing.T, servers ...string) string {
	t.Helper()
	dir := lab.TempDir(t, 0)
	for _, f := range []string{"passwd", "group", "nsswitch.conf", "protocols", "services", "hosts"} {
		if b, err := os.ReadFile(filepath.Join("/etc", f)); err == nil {
			if err := os.WriteFile(filepath.Join(dir, f), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte(nameservers(servers...)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(dir, "/etc", "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("bind /etc: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount("/etc", unix.MNT_DETACH); err != nil {
			t.Errorf("unmount /etc: %v", err)
		}
	})
	return "/etc/resolv.conf"
}

// nameservers is a resolv.conf(5).
func nameservers(servers ...string) string {
	var s string
	for _, a := range servers {
		s += "nameserver " + a + "\n"
	}
	return s
}

// hostDNS is a resolver on the host that answers every A query with addr and
// every TXT query with a text of as many bytes as the first label says.
func hostDNS(t *testing.T, at string, addr string) {
	t.Helper()
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		r := new(dns.Msg)
		r.SetReply(q)
		h := dns.RR_Header{Name: q.Question[0].Name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET, Ttl: 1}
		switch h.Rrtype {
		case dns.TypeA:
			r.Answer = append(r.Answer, &dns.A{Hdr: h, A: netip.MustParseAddr(addr).AsSlice()})
		case dns.TypeTXT:
			var size int
			fmt.Sscanf(h.Name, "%d.", &size)
			txt := &dns.TXT{Hdr: h}
			for ; size > 0; size -= 250 {
				txt.Txt = append(txt.Txt, strings.Repeat("x", min(size, 250)))
			}
			r.Answer = append(r.Answer, txt)
		}
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
			size := dns.MinMsgSize
			if opt := q.IsEdns0(); opt != nil {
				size = max(size, int(opt.UDPSize()))
			}
			r.Truncate(size)
		}
		w.WriteMsg(r)
	})
	pc, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: answer}, {Listener: l, Handler: answer}} {
		go s.ActivateAndServe()
	}
	t.Cleanup(func() { pc.Close(); l.Close() })
}

// dig is the output of dig in the guest, asking addr.
func dig(t *testing.T, g *lab.Guest, addr string, args ...string) string {
	t.Helper()
	args = append([]string{"@" + addr, "+tries=1", "+time=5"}, args...)
	return g.Run(t, commandTimeout, "dig", args...)
}

// digFails is the output of a dig that gets no answer.
func digFails(t *testing.T, g *lab.Guest, args ...string) string {
	t.Helper()
	args = append([]string{"@10.0.2.3", "+tries=1", "+time=1", "+retry=0"}, args...)
	out, err := g.Command(t.Context(), "dig", args...).CombinedOutput()
	if e := (*exec.ExitError)(nil); err == nil {
		t.Errorf("dig %v succeeded: %s", args, out)
	} else if !errors.As(err, &e) || e.ExitCode() != 9 {
		t.Errorf("dig %v: %v: %s", args, err, out)
	}
	return string(out)
}

// queryA sends one query from a new port of the guest and returns the first
// address of the answer.
func queryA(g *lab.Guest, network, name string, timeout time.Duration) (string, time.Duration, error) {
	start := time.Now()
	at := relay
	if strings.HasSuffix(network, "6") {
		at = relay6
	}
	c, err := g.Dial(network, at, timeout)
	if err != nil {
		return "", 0, err
	}
	defer c.Close()
	conn := &dns.Conn{Conn: c}
	conn.SetDeadline(start.Add(timeout))
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.TypeA)
	if err := conn.WriteMsg(q); err != nil {
		return "", 0, err
	}
	r, err := conn.ReadMsg()
	took := time.Since(start)
	switch {
	case err != nil:
		return "", took, err
	case r.Id != q.Id || len(r.Answer) == 0:
		return "", took, fmt.Errorf("answer %v to %v", r, q)
	}
	a, ok := r.Answer[0].(*dns.A)
	if !ok {
		return "", took, fmt.Errorf("answer %v to %v", r, q)
	}
	return a.A.String(), took, nil
}
