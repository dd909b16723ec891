package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// table is a Backend that forwards nothing.
type table struct {
	mu   sync.Mutex
	next int
	list []Forward
	cut  bool  // the last RemoveForward was not to drain
	bad  error // of each RemoveForward
}

func (t *table) AddForward(f Forward) (Forward, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.list {
		if o.Proto == f.Proto && o.HostPort == f.HostPort {
			return f, fmt.Errorf("bind %s: address already in use", netip.AddrPortFrom(f.HostAddr, f.HostPort))
		}
	}
	if f.HostPort == 0 {
		f.HostPort = 40000
	}
	t.next++
	f.ID = t.next
	t.list = append(t.list, f)
	return f, nil
}

func (t *table) RemoveForward(id int, drain bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bad != nil {
		return t.bad
	}
	for i, f := range t.list {
		if f.ID == id {
			t.list = append(t.list[:i], t.list[i+1:]...)
			t.cut = !drain
			return nil
		}
	}
	return ErrUnknown
}

func (t *table) Forwards() []Forward {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Forward(nil), t.list...)
}

func (t *table) DefaultGuest() netip.Addr { return netip.MustParseAddr("10.0.2.100") }
func (t *table) Info() Info {
	return Info{Version: "1.2.3", Offloads: []string{}, Features: []string{}}
}
func (t *table) Stats() Stats  { return emptyStats() }
func (t *table) Flows() []Flow { return nil }

// emptyStats have all reasons for which packets are dropped.
func emptyStats() Stats {
	s := Stats{Drops: make(map[string]uint64)}
	for _, reason := range []string{
		"malformed", "bad_checksum", "unsupported", "ttl_expired", "host_loopback_disabled", "dns_disabled", "nameserver_not_dns",
		"bad_destination", "tcp_full", "udp_evicted", "tap_full", "forward_udp_evicted", "forward_udp_no_port",
	} {
		s.Drops[reason] = 0
	}
	return s
}

// maxClients of a Server in tests.
const maxClients = 16

// serve runs a Server until the end of the test and returns its path and what
// it writes.
func serve(t *testing.T, b Backend) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	s, err := Listen(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	server := NewServer(b, io.Discard, maxClients)
	go func() { done <- server.Serve(s) }()
	t.Cleanup(func() {
		s.Close()
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket's file is left behind: %v", err)
		}
	})
	return path
}

func dial(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c.(*net.UnixConn)
}

// ask sends a request without closing the connection and returns the reply.
func ask(t *testing.T, path, request string) string {
	t.Helper()
	c := dial(t, path)
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	if request == "" {
		c.CloseWrite()
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return string(b)
}

const addTCP = `{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":%d,"guest_port":80}}`

// Requests and replies in order, byte for byte.
func TestReplies(t *testing.T) {
	back := new(table)
	path := serve(t, back)
	bad := func(what string) string { return `{"error":{"desc":"bad request: ` + what + `"}}` }
	entry := `{"id":1,"proto":"tcp","host_addr":"127.0.0.1","host_port":8080,"guest_addr":"10.0.2.100","guest_port":80}`
	for _, c := range [][2]string{
		{`{"execute":"list_hostfwd"}`, `{"entries":[],"return":{"entries":[]}}`},
		{fmt.Sprintf(addTCP, 8080), `{"return":{"id":1}}`},
		{`{"execute":"list_hostfwd"}`, `{"entries":[` + entry + `],"return":{"entries":[` + entry + `]}}`},
		{fmt.Sprintf(addTCP, 8080), `{"error":{"desc":"bad request: add_hostfwd: slirp_add_hostfwd failed","cause":"bind 127.0.0.1:8080: address already in use"}}`},
		{fmt.Sprintf(addTCP, 0), `{"return":{"id":2,"host_port":40000}}`},
		{`{"execute":"add_hostfwd","arguments":{"proto":"udp6","host_port":1000,"host_port_end":1099,"guest_port":2000,"guest_addr":"fd00::5"}}`, `{"return":{"id":3}}`},
		{`{"execute":"remove_hostfwd","arguments":{"id":1}}`, `{"return":{}}`},
		{`{"execute":"remove_hostfwd","arguments":{"id":2.9,"drain":false}}`, `{"return":{}}`},
		{`{"execute":"list_hostfwd"}`, `{"entries":[X],"return":{"entries":[X]}}`},
		{`{"execute":"remove_hostfwd","arguments":{"id":1}}`, `{"error":{"desc":"bad request: remove_hostfwd: bad arguments.id","cause":"forward 1: no such forward"}}`},
		{`{"execute":"remove_hostfwd","arguments":{"id":3,"drain":1}}`, bad("remove_hostfwd: bad arguments.drain")},
		{`{"execute":"list_flows"}`, `{"return":{"flows":[]}}`},
		{``, bad("cannot parse JSON")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp4","host_addr":"::1"}}`, bad("add_hostfwd: bad arguments.host_addr")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp6","host_addr":"127.0.0.1"}}`, bad("add_hostfwd: bad arguments.host_addr")},
		{`{"execute":"add_hostfwd"}`, bad("add_hostfwd: bad arguments.proto")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":65536}}`, bad("add_hostfwd: bad arguments.host_port")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":-1}}`, bad("add_hostfwd: bad arguments.host_port")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":8080,"guest_port":65536}}`, bad("add_hostfwd: bad arguments.guest_port")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":8080,"host_port_end":8079,"guest_port":80}}`, bad("add_hostfwd: bad arguments.host_port_end")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":65500,"host_port_end":65600,"guest_port":80}}`, bad("add_hostfwd: bad arguments.host_port_end")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"host_port_end":101,"guest_port":65500}}`, bad("add_hostfwd: bad arguments.host_port_end")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"host_port_end":"9","guest_port":80}}`, bad("add_hostfwd: bad arguments.host_port_end")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"host_port_end":null,"guest_port":80}}`, bad("add_hostfwd: bad arguments.host_port_end")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"host_port_end":0,"guest_port":80}}`, bad("add_hostfwd: bad arguments.host_port_end")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1%lo","host_port":1,"guest_port":80}}`, bad("add_hostfwd: bad arguments.host_addr")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"guest_addr":"fe80::1%tap0","guest_port":80}}`, bad("add_hostfwd: bad arguments.guest_addr")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":0,"host_port_end":9,"guest_port":80}}`, bad("add_hostfwd: bad arguments.host_port_end")},
		{`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"host_port_end":1001,"guest_port":65000}}`, bad("add_hostfwd: bad arguments.host_port_end")},
	} {
		x := `{"id":3,"proto":"udp6","host_addr":"::","host_port":1000,"guest_addr":"fd00::5","guest_port":2000,"host_port_end":1099}`
		want := strings.ReplaceAll(c[1], "X", x)
		if got := ask(t, path, c[0]); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", c[0], got, want)
		}
	}
	if !back.cut {
		t.Error(`"drain":false did not arrive`)
	}
}

// A forward that cannot be removed.
func TestRemoveFails(t *testing.T) {
	path := serve(t, &table{bad: errors.New("close: input/output error")})
	const want = `{"error":{"desc":"bad request: remove_hostfwd: slirp_remove_hostfwd failed","cause":"close: input/output error"}}`
	if got := ask(t, path, `{"execute":"remove_hostfwd","arguments":{"id":1}}`); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestQueries(t *testing.T) {
	path := serve(t, new(table))
	for _, verb := range []string{"query_info", "query_stats", "list_flows"} {
		var reply struct{ Return map[string]any }
		if err := json.Unmarshal([]byte(ask(t, path, `{"execute":"`+verb+`"}`)), &reply); err != nil || len(reply.Return) == 0 {
			t.Errorf("%s: %v, %v", verb, reply, err)
		}
	}
}

// A request may come in pieces, and its end need not be told.
func TestRequestInPieces(t *testing.T) {
	path := serve(t, new(table))
	c := dial(t, path)
	for _, b := range []byte(`{"execute":"list_hostfwd"}`) {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	// What comes late must not lose the reply.
	c.Write([]byte("\n"))
	if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), `{"entries":[]`) {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := c.Write([]byte("\n")); err != nil {
		t.Errorf("a newline after the reply: %v", err)
	}
}

// The reply is one write: clients read once.
func TestReplyIsOneWrite(t *testing.T) {
	back := new(table)
	path := serve(t, back)
	for i := range 200 {
		back.AddForward(Forward{Proto: "tcp", HostAddr: netip.IPv4Unspecified(), HostPort: uint16(1000 + i), GuestAddr: back.DefaultGuest(), GuestPort: 80})
	}
	c := dial(t, path)
	io.WriteString(c, `{"execute":"list_hostfwd"}`)
	b := make([]byte, 1<<20)
	n, err := c.Read(b)
	if err != nil || !json.Valid(b[:n]) {
		t.Errorf("the first read has %d bytes, %v", n, err)
	}
}

func TestRequestSize(t *testing.T) {
	path := serve(t, new(table))
	for size, want := range map[int]string{4095: `{"entries":`, 4096: `{"error":{"desc":"bad request: too large message"}}`, 100000: `{"error":{"desc":"bad request: too large message"}}`} {
		request := `{"execute":"list_hostfwd"` + strings.Repeat(" ", size-26) + `}`
		c := dial(t, path)
		go io.WriteString(c, request) // which may be more than anybody reads
		if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%d bytes: %.80s, %v; want %s", size, got, err, want)
		}
	}
}

// Clients that say nothing, or read nothing, keep nobody waiting for long, and
// are answered in the end.
func TestIdleClients(t *testing.T) {
	path := serve(t, new(table))
	var idle []*net.UnixConn
	for range 3 * maxClients {
		idle = append(idle, dial(t, path))
	}
	for range 10 {
		if got := ask(t, path, `{"execute":"list_hostfwd"}`); !strings.HasPrefix(got, `{"entries":`) {
			t.Errorf("reply %q", got)
		}
	}
	for _, c := range idle {
		if b, err := io.ReadAll(c); err != nil || string(b) != `{"error":{"desc":"bad request: cannot parse JSON"}}` {
			t.Fatalf("an idle client: %q, %v", b, err)
		}
	}
}

// Clients that take nothing of a large reply keep others waiting for a moment,
// and nobody at the end.
func TestDeafClients(t *testing.T) {
	b := new(table)
	for i := range 1500 { // more than a socket holds
		b.list = append(b.list, Forward{ID: i + 1, Proto: "tcp", HostAddr: netip.MustParseAddr("127.0.0.1"), HostPort: uint16(i + 1),
			GuestAddr: netip.MustParseAddr("10.0.2.100"), GuestPort: 80})
	}
	path := filepath.Join(t.TempDir(), "s")
	socket, err := Listen(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	server, done := NewServer(b, io.Discard, maxClients), make(chan error, 1)
	go func() { done <- server.Serve(socket) }()
	connect := func(n int) {
		for range n {
			if _, err := io.WriteString(dial(t, path), `{"execute":"list_hostfwd"}`); err != nil {
				t.Fatal(err)
			}
		}
	}
	connect(3 * maxClients)
	start := time.Now()
	if got := ask(t, path, `{"execute":"query_info"}`); !strings.HasPrefix(got, `{"return":`) {
		t.Errorf("reply %.80q", got)
	}
	if took := time.Since(start); took > patience-time.Second {
		t.Errorf("a request took %v, as long as clients may who read", took)
	}
	connect(3 * maxClients) // all places are taken, and some wait
	start = time.Now()
	socket.Close()
	server.Stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("the end took %v", took)
	}
}

// A MiB of noise and of damaged requests: each one has an answer.
func TestNoise(t *testing.T) {
	path := serve(t, new(table))
	r := rand.New(rand.NewSource(5))
	for sent := 0; sent < 1<<20; {
		b := damaged(r)
		sent += len(b)
		c := dial(t, path)
		go func() { c.Write(b); c.CloseWrite() }()
		got, err := io.ReadAll(c)
		var reply map[string]any
		if err != nil || json.Unmarshal(got, &reply) != nil {
			t.Fatalf("%q: reply %q, %v", b, got, err)
		}
		c.Close()
	}
	if got := ask(t, path, `{"execute":"list_hostfwd"}`); !strings.HasPrefix(got, `{"entries":`) {
		t.Errorf("afterwards: %q", got)
	}
}

// seeds are requests worth damaging.
var seeds = []string{
	fmt.Sprintf(addTCP, 8080),
	`{"execute":"add_hostfwd","arguments":{"proto":"udp","host_addr":"::","host_port":1e3,"host_port_end":1099,"guest_addr":"10.0.2.15","guest_port":0.5e2}}`,
	`{"execute":"remove_hostfwd","arguments":{"id":1,"drain":false}}`,
	`{"execute":"list_hostfwd"}`, `{"execute":"query_stats"}`, `{"execute":"list_flows"} x`,
	"\xef\xbb\xbf{\"execute\":[{},null,true,-0.1e+5,\"\\ud800\"]}",
}

func damaged(r *rand.Rand) []byte {
	if r.Intn(4) == 0 {
		b := make([]byte, 1+r.Intn(4095))
		r.Read(b)
		return b
	}
	b := []byte(seeds[r.Intn(len(seeds))])
	for range 1 + r.Intn(4) {
		i := r.Intn(len(b))
		switch r.Intn(4) {
		case 0:
			b[i] = byte(r.Intn(256))
		case 1:
			b = append(b[:i], b[i+1:]...)
		case 2:
			b = append(b[:i:i], append([]byte{`{}[]":,0e-.n`[r.Intn(12)]}, b[i:]...)...)
		case 3:
			j := i + r.Intn(len(b)-i)
			b = append(b, b[i:j]...)
		}
		if len(b) == 0 {
			return []byte{0}
		}
	}
	return b
}

func FuzzAnswer(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	s, schema := NewServer(new(table), io.Discard, maxClients), loadSchema(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, _ := parse(b)
		reply := s.answer(b, v)
		if !json.Valid(reply) || bytes.IndexByte(reply, '\n') >= 0 {
			t.Errorf("reply %q", reply)
		}
		if err := schema.Reply("", string(reply)); err != nil {
			t.Error(err)
		}
	})
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	for _, mode := range []os.FileMode{0o600, 0o660, 0o666} {
		s, err := Listen(path, mode)
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Lstat(path)
		if err != nil || st.Mode() != mode|os.ModeSocket {
			t.Errorf("mode %v, %v; want %v", st.Mode(), err, mode)
		}
		if _, err := Listen(path, mode); err == nil || !strings.Contains(err.Error(), "somebody listens there") {
			t.Errorf("a path where somebody listens: %v", err)
		}
		s.Close() // and leave a stale one for the next
	}
	os.Remove(path)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, 0o600); err == nil || !strings.Contains(err.Error(), "left alone") {
		t.Errorf("a file: %v", err)
	}
	if b, err := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file is gone: %q, %v", b, err)
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(filepath.Join(dir, "l"), 0o600); err == nil {
		t.Error("a symbolic link was taken")
	}
	if _, err := Listen(strings.Repeat("x", 108), 0o600); err == nil || err.Error() != "the specified API socket path is too long (>= 108)" {
		t.Errorf("a long path: %v", err)
	}
	if _, err := Listen(filepath.Join(dir, "no", "s"), 0o600); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	// A file that has taken the socket's place is not ours to remove.
	s, err := Listen(filepath.Join(dir, "t"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	os.Remove(filepath.Join(dir, "t"))
	os.WriteFile(filepath.Join(dir, "t"), nil, 0o600)
	if err := s.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "t")); err != nil {
		t.Errorf("another's file was removed: %v", err)
	}
}
