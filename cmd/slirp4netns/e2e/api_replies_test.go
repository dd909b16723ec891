package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// apiRequests are sent in this order, to ours and to the C program, and both
// reply the same. %d is a port that is free.
var apiRequests = []string{
	`{"execute":"list_hostfwd"}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":28080,"guest_addr":"","guest_port":80}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"udp","host_addr":"127.0.0.1","host_port":28080,"guest_addr":"0.0.0.0","guest_port":80}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":null,"host_port":28081.9,"guest_port":80.1}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"udp","host_addr":7,"host_port":28088,"guest_addr":{},"guest_port":80}}`,
	`{"execute":"list_hostfwd"}`,
	// Duplicates and overlaps.
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":28080,"guest_port":80}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"0.0.0.0","host_port":28080,"guest_port":80}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"udp","host_addr":"0.0.0.0","host_port":28080,"guest_port":80}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"192.0.2.99","host_port":28082,"guest_port":80}}`,
	// The order of the checks.
	`{"execute":"add_hostfwd","arguments":{"proto":"sctp","host_addr":"x","host_port":0,"guest_addr":"y","guest_port":0}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"TCP","host_port":1,"guest_port":1}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"x","guest_addr":"y"}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.256","host_port":1,"guest_port":1}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.1","host_port":1,"guest_port":1}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"localhost","host_port":1,"guest_port":1}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","guest_addr":"y","guest_port":0}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":"80","guest_addr":"y"}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":null,"guest_addr":"y"}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"guest_addr":"y"}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"guest_port":0}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"guest_port":"1"}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1}}`,
	// Failures have used up no ID.
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":28083,"guest_addr":"192.0.2.1","guest_port":65535},"more":{"a":[1,2]}}`,
	`{"execute":"remove_hostfwd","arguments":{"id":1.9}}`,
	`{"execute":"remove_hostfwd","arguments":{"id":1}}`,
	`{"execute":"remove_hostfwd","arguments":{"id":"2"}}`,
	`{"execute":"remove_hostfwd","arguments":{"id":-1}}`,
	`{"execute":"remove_hostfwd","arguments":{"id":99}}`,
	`{"execute":"remove_hostfwd","arguments":{}}`,
	`{"execute":"remove_hostfwd"}`,
	`{"execute":"list_hostfwd","arguments":[]}`,
	// IDs are not used again; a removed port is free again.
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":28080,"guest_port":81}}`,
	`{"execute":"list_hostfwd"}`,
	// What is and is not JSON, and a request.
	``, ` `, "\n", `{`, `{"execute":"list_hostfwd"`, `{"execute":"list_hostfwd",}`, `{'execute':'list_hostfwd'}`,
	`{"execute":"list_hostfwd","execute":"x"}`, `/* c */ {"execute":"list_hostfwd"}`,
	`{"execute":"list_hostfwd","x":01}`, `{"execute":"list_hostfwd","x":.1}`, `{"execute":"list_hostfwd","x":1e999}`,
	`{"execute":"list_hostfwd","x":+1}`, `{"execute":"list_hostfwd","x":0x1}`, `{"execute":"list_hostfwd","x":NaN}`,
	`{"execute":"list_hostfwd","x":nullx}`, "{\"execute\":\"list_hostfwd\",\"x\":\"a\tb\"}", `x`, `}`, `]`,
	`[]`, `["execute"]`, `"x"`, `12`, `null`, `true`,
	`{}`, `{"execute":12}`, `{"execute":null}`, `{"execute":{}}`, `{"Execute":"list_hostfwd"}`, `{"arguments":{}}`,
	`{"execute":""}`, `{"execute":"List_hostfwd"}`, `{"execute":"list_hostfwd "}`, "{\"execute\":\"list_hostfwd\xff\"}",
	// What is taken all the same.
	`{"execute":"list_hostfwd"} trailing`, `{"execute":"list_hostfwd"}}`, "{\"execute\":\"list_hostfwd\"}\x00x",
	"\xef\xbb\xbf{\"execute\":\"list_hostfwd\"}", " \t\v\f\r\n{\"execute\":\"list_hostfwd\"}\n",
	`{"execute":"list_\u0068ostfwd"}`, `{"execute":"list_hostfwd","x":"\u0000","y":-0,"z":1e3}`,
	`{"execute":"list_hostfwd","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
	// Numbers as they may be written.
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":2.8084e4,"guest_port":8e1}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"udp","host_addr":"127.0.0.1","host_port":28085.0,"guest_port":80.0}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":28086,"guest_port":0.9}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":true,"guest_port":80}}`,
	`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":[28086],"guest_port":80}}`,
	`{"execute":"remove_hostfwd","arguments":{"id":5e0}}`,
	`{"execute":"remove_hostfwd","arguments":{"id":0.5}}`,
	`{"execute":"remove_hostfwd","arguments":{"id":1e2}}`,
	`{"execute":"list_hostfwd","x":2e}`, `{"execute":"list_hostfwd","x":-}`,
	`{"execute":"list_hostfwd","x":1E+2}`, `{"execute":"list_hostfwd","x":00}`, `{"execute":"list_hostfwd","x":-01}`,
	// Names that would end early in C.
	`{"execute\u0000":"list_hostfwd"}`, `{"execute":"list_hostfwd","\u0000":1}`, `{"execute":"list_hostfwd","x":{"a\u0000":1}}`,
	// The same name twice, on every level.
	`{"execute":"list_hostfwd","arguments":{"id":1,"id":1}}`, `{"execute":"list_hostfwd","arguments":{},"arguments":{}}`,
	`{"execute":"list_hostfwd","x":[{"a":1,"a":2}]}`, `{"execute":"list_hostfwd","\u0065xecute":"x"}`,
	`{"execute":"list_hostfwd","arguments.id":1,"arguments":{"id":2}}`,
	// Depth.
	`{"execute":"list_hostfwd","x":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`,
	`{"execute":"list_hostfwd","x":` + strings.Repeat("[", 2030) + strings.Repeat("]", 2030) + `}`,
	strings.Repeat("[", 4000), strings.Repeat(`{"a":`, 800),
	// Strings.
	`{"execute":"list_hostfwd","x":"\ud83d\ude00"}`,
	`{"execute":"list_hostfwd","x":"\u12"}`, `{"execute":"list_hostfwd","x":"\x"}`, "{\"execute\":\"list_hostfwd\",\"x\":\"\xc3\"}",
	"{\"execute\":\"list_hostfwd\",\"x\":\"\x7f\"}",
	// Sizes.
	`{"execute":"list_hostfwd"` + strings.Repeat(" ", 4095-26) + `}`,
	`{"execute":"list_hostfwd"` + strings.Repeat(" ", 4096-26) + `}`,
	strings.Repeat("x", 4095), strings.Repeat("x", 4096),
}

// Replies, byte for byte, are those of the C program, apart from "cause" and
// from "return" in the list.
func TestAPIReplies(t *testing.T) {
	c, ours := apiReplies(t, lab.Reference), apiReplies(t, "")
	schema := apiSchema(t)
	for i, request := range apiRequests {
		if len(request) > 200 {
			request = request[:200] + "…"
		}
		got, err := likeC(ours[i])
		if err != nil {
			t.Errorf("%s\nreply %s: %v", request, ours[i], err)
		}
		if err := schema.Reply("", ours[i]); err != nil {
			t.Errorf("%s: %v", request, err)
		}
		if got != c[i] {
			t.Errorf("%s\ngot  %s\nwant %s", request, got, c[i])
		}
	}
}

// apiReplies are a program's to apiRequests.
func apiReplies(t *testing.T, binary string) []string {
	t.Helper()
	_, s, path := controlledBy(t, binary)
	defer s.Stop()
	replies := make([]string, len(apiRequests))
	for i, request := range apiRequests {
		replies[i] = askAPI(t, path, request)
	}
	return replies
}

// likeC takes out what the C program does not say.
func likeC(reply string) (string, error) {
	if !json.Valid([]byte(reply)) {
		return reply, fmt.Errorf("not JSON")
	}
	if head, tail, ok := strings.Cut(reply, `,"return":{"entries":`); ok {
		// The same list once more.
		if inner := strings.TrimSuffix(tail, "}}"); head != `{"entries":`+inner {
			return reply, fmt.Errorf("the two lists differ")
		}
		return head + "}", nil
	}
	if head, _, ok := strings.Cut(reply, `","cause":"`); ok {
		return head + `"}}`, nil
	}
	return reply, nil
}

// Where ours is on purpose of another opinion than the C program about what JSON
// is, and what a string is.
func TestAPIOtherThanC(t *testing.T) {
	const noJSON = `{"error":{"desc":"bad request: cannot parse JSON"}}`
	const list = `{"entries":[]}`
	for _, c := range []struct{ what, request, ours, c string }{
		{"a number without its end", `{"execute":"list_hostfwd","x":1.}`, noJSON, list},
		{"half a surrogate pair (read as U+FFFD)", `{"execute":"list_hostfwd","x":"\ud83d"}`, list, noJSON},
		{"the other half", `{"execute":"list_hostfwd","x":"\ude00"}`, list, noJSON},
		{"a verb with a NUL", `{"execute":"list_hostfwd\u0000x"}`, `{"error":{"desc":"bad request: unknown execute"}}`, list},
		{"an address with a NUL", `{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1\u0000x","host_port":8000,"guest_port":80}}`,
			`{"error":{"desc":"bad request: add_hostfwd: bad arguments.host_addr"}}`, `{"error":{"desc":"bad request: add_hostfwd: slirp_add_hostfwd failed"}}`},
		{"a protocol with a NUL", `{"execute":"add_hostfwd","arguments":{"proto":"tcp\u0000x","host_addr":"127.0.0.1","host_port":8000,"guest_port":80}}`,
			`{"error":{"desc":"bad request: add_hostfwd: bad arguments.proto"}}`, `{"error":{"desc":"bad request: add_hostfwd: slirp_add_hostfwd failed"}}`},
	} {
		t.Run(c.what, func(t *testing.T) {
			controlledByBoth(t, nil, func(t *testing.T, _ *lab.Guest, path string, isC bool) {
				got, err := likeC(askAPI(t, path, c.request))
				if want := map[bool]string{false: c.ours, true: c.c}[isC]; got != want || err != nil {
					t.Errorf("got  %s, %v\nwant %s", got, err, want)
				}
			})
		})
	}
}

// What the C program does wrong: a crash, ports beyond 65535, no way to ask for
// a free port, and no reason for a failure.
func TestAPIBetterThanC(t *testing.T) {
	_, _, path := controlled(t)
	for request, want := range map[string]string{
		`{"execute":"add_hostfwd"}`: `{"error":{"desc":"bad request: add_hostfwd: bad arguments.proto"}}`,
		`{"execute":"add_hostfwd","arguments":{"host_port":1,"guest_port":1}}`:                                           `{"error":{"desc":"bad request: add_hostfwd: bad arguments.proto"}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":-1,"guest_port":80}}`:                           `{"error":{"desc":"bad request: add_hostfwd: bad arguments.host_port"}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":65536,"guest_port":80}}`:                        `{"error":{"desc":"bad request: add_hostfwd: bad arguments.host_port"}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":28080,"guest_port":65616}}`:                     `{"error":{"desc":"bad request: add_hostfwd: bad arguments.guest_port"}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":18446744073709551697,"guest_port":80}}`:         `{"error":{"desc":"bad request: add_hostfwd: bad arguments.host_port"}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":4294967376,"guest_port":80}}`:                   `{"error":{"desc":"bad request: add_hostfwd: bad arguments.host_port"}}`,
		`{"execute":"remove_hostfwd","arguments":{"id":4294967297}}`:                                                     `{"error":{"desc":"bad request: remove_hostfwd: bad arguments.id"}}`,
		`{"execute":"remove_hostfwd","arguments":{"id":18446744073709551617}}`:                                           `{"error":{"desc":"bad request: remove_hostfwd: bad arguments.id"}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1e300,"guest_port":80}}`:                        `{"error":{"desc":"bad request: add_hostfwd: bad arguments.host_port"}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":80,"guest_port":80}}`:                           `{"error":{"desc":"bad request: add_hostfwd: slirp_add_hostfwd failed","cause":"bind 0.0.0.0:80: permission denied: it takes CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start"}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":8000,"guest_port":80}}`: `{"error":{"desc":"bad request: add_hostfwd: slirp_add_hostfwd failed","cause":"bind 127.0.0.1:8000: address already in use"}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":28080,"guest_port":80,"guest_addr":"fd00::1"}}`: `{"error":{"desc":"bad request: add_hostfwd: slirp_add_hostfwd failed","cause":"guest address fd00::1: the guest has no IPv6 (--enable-ipv6)"}}`,
	} {
		if got := askAPI(t, path, request); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", request, got, want)
		}
	}
}

// The socket is the owner's alone, or as it is asked for.
func TestAPISocketMode(t *testing.T) {
	for option, want := range map[string]os.FileMode{"--api-socket-mode=600": 0o600, "--api-socket-mode=666": 0o666, "-c": 0o600} {
		_, _, path := controlled(t, option)
		st, err := os.Stat(path)
		if err != nil || st.Mode() != os.ModeSocket|want {
			t.Errorf("%s: mode %v, %v; want %v", option, st.Mode(), err, want)
		}
	}
}

// Clients as they are: Podman writes a newline behind its request and reads
// once, others do not half-close.
func TestAPIClients(t *testing.T) {
	_, _, path := controlled(t)
	for name, c := range map[string]struct {
		pieces []string
		half   bool
	}{
		"podman":          {[]string{`{"execute":"list_hostfwd"}` + "\n"}, true},
		"podman, in two":  {[]string{`{"execute":"list_hostfwd"}`, "\n"}, true},
		"no half-close":   {[]string{`{"execute":"list_hostfwd"}`}, false},
		"piece by piece":  {[]string{`{"exec`, `ute":"list`, `_hostfwd"`, `}`}, false},
		"a late end":      {[]string{`{"execute":"list_hostfwd"}`, " ", " "}, false},
		"an end too soon": {[]string{`{"execute":"list_hostfwd"`}, true},
	} {
		conn := dialAPI(t, path)
		for i, p := range c.pieces {
			if i > 0 {
				time.Sleep(20 * time.Millisecond)
			}
			if _, err := conn.Write([]byte(p)); err != nil {
				t.Errorf("%s: write: %v", name, err)
			}
		}
		if c.half {
			if err := conn.CloseWrite(); err != nil {
				t.Errorf("%s: half-close: %v", name, err)
			}
		}
		want := `{"entries":[],"return":{"entries":[]}}`
		if name == "an end too soon" {
			want = `{"error":{"desc":"bad request: cannot parse JSON"}}`
		}
		b := make([]byte, 2048)
		n, err := conn.Read(b)
		if string(b[:n]) != want || err != nil {
			t.Errorf("%s: %q, %v; want %s", name, b[:n], err, want)
		}
		if n, err := conn.Read(b); n != 0 || err == nil || err.Error() != "EOF" {
			t.Errorf("%s: after the reply: %q, %v; want the end", name, b[:n], err)
		}
	}
}
