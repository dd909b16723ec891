package e2e

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
	"github.com/slirp4netns-go/slirp4netns/parent/api/apitest"
)

// Every command with --json prints what the schema says of its request's reply,
// on one line; without, something for people.
func TestCtlJSON(t *testing.T) {
	t.Parallel()
	schema := apiSchema(t)
	g, _, path := controlled(t)
	if err := lab.Give(path, g.UID); err != nil {
		t.Fatal(err)
	}
	pairUp(t, g)
	done := make(map[string]bool)
	for _, c := range []struct {
		verb, plain string // how the output for people begins
		args        []string
	}{
		{"query_info", "version ", []string{"info"}},
		{"query_stats", "PROTO  SENT ", []string{"stats"}},
		{"list_flows", "PROTO  FROM ", []string{"flows"}},
		{"add_hostfwd", "2\n", []string{"add", "127.0.0.1:28130:80"}},
		{"add_hostfwd", "4 port ", []string{"add", "127.0.0.1::80/udp"}},
		{"add_hostfwd", "", []string{"add", "[::1]:28140-28149:80-89"}},
		{"list_hostfwd", "ID  PROTO  HOST ", []string{"forwards"}},
		{"remove_hostfwd", "", []string{"remove", "1"}},
		{"remove_hostfwd", "", []string{"remove", "3", "--cut"}},
	} {
		stdout, stderr, status := ctl(t, g.UID, append([]string{path, "--json"}, c.args...)...)
		reply := `{"return":` + strings.TrimSuffix(stdout, "\n") + `}`
		if c.verb == "list_hostfwd" {
			reply = strings.TrimSuffix(stdout, "}\n") + `,"return":` + strings.TrimSuffix(stdout, "\n") + `}`
		}
		if err := schema.Reply(c.verb, reply); err != nil || status != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%v: status %d, %q, %q; %v", c.args, status, stdout, stderr, err)
		}
		done[c.verb] = true
		// The same once more, for people: what is taken or gone is an error.
		args := c.args
		if c.args[0] == "add" && strings.Contains(c.args[1], "28130") {
			args = []string{"add", "127.0.0.1:28131:80"}
		}
		stdout, stderr, status = ctl(t, g.UID, append([]string{path}, args...)...)
		if again := c.plain == "" && status == 1 && strings.Contains(stderr, "slirp4netns ctl "+args[0]); !again && (status != 0 || !strings.HasPrefix(stdout, c.plain)) {
			t.Errorf("%v: status %d, %q, %q; want %q", args, status, stdout, stderr, c.plain)
		}
	}
	for _, verb := range apitest.Verbs {
		if !done[verb] {
			t.Errorf("no command does %s", verb)
		}
	}
}

// What is wrong with a socket is said so that people know what to do.
func TestCtlErrors(t *testing.T) {
	t.Parallel()
	dir := lab.TempDir(t, user)
	at := func(name string) string { return filepath.Join(dir, name) }
	give := func(path string) {
		if err := lab.Give(path, user); err != nil {
			t.Fatal(err)
		}
	}
	// answering is a server that is none of slirp4netns.
	answering := func(name, reply string) string {
		l, err := net.Listen("unix", at(name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		give(at(name))
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.Copy(io.Discard, c)
				io.WriteString(c, reply)
				c.Close()
			}
		}()
		return at(name)
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: at("stale"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	give(at("stale"))
	if err := os.WriteFile(at("file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	give(at("file"))
	bess, _ := startBESS(t)
	for path, want := range map[string]string{
		at("none"):                     "no such file or directory: slirp4netns has ended, or was started without this --api-socket",
		at("none/none"):                "no such file or directory: slirp4netns has ended, or was started without this --api-socket",
		at("stale"):                    "connection refused: nobody listens there; slirp4netns was killed, or it is no socket",
		at("file"):                     "connection refused: nobody listens there; slirp4netns was killed, or it is no socket",
		bess.Path:                      "protocol wrong type for socket: it is not a control socket, but perhaps that of --target-type=bess",
		"/" + strings.Repeat("x", 120): "the path is too long for a socket (121 bytes, at most 107)",
		answering("mute", ""):          "the connection was closed without a reply: it may not be a control socket of slirp4netns",
		answering("http", "HTTP/1.1 400 Bad Request\r\n"): `it is not a control socket of slirp4netns: it replied "HTTP/1.1 400 Bad Request\r\n"`,
		answering("json", "{}"):                           `it is not a control socket of slirp4netns: it replied "{}"`,
		answering("list", "[]"):                           `it is not a control socket of slirp4netns: it replied "[]"`,
		answering("long", strings.Repeat("x", 1000)):      `it replied "` + strings.Repeat("x", 60) + `"…`,
	} {
		for _, asJSON := range []bool{false, true} {
			args := []string{path, "stats"}
			if asJSON {
				args = append(args, "--json")
			}
			stdout, stderr, status := ctl(t, user, args...)
			if want := "slirp4netns ctl stats: " + path + ": "; status != 1 || stdout != "" || !strings.HasPrefix(stderr, want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%v: status %d, %q, %q; want %q", args, status, stdout, stderr, want)
			}
			if !strings.HasSuffix(stderr, want+"\n") {
				t.Errorf("%v: %q, want %q", args, stderr, want)
			}
		}
	}
}

// ctl has no quarrel with the C program, but for what that does not know.
func TestCtlOfC(t *testing.T) {
	t.Parallel()
	g, _, path := controlledBy(t, lab.Reference)
	for _, step := range []struct {
		args           []string
		stdout, stderr string
		status         int
	}{
		{[]string{"add", "127.0.0.1:28150:80"}, "1\n", "", 0},
		{[]string{"forwards"}, "ID  PROTO  HOST             GUEST\n1   tcp    127.0.0.1:28150  10.0.2.100:80\n", "", 0},
		{[]string{"remove", "7"}, "", "slirp4netns ctl remove 7: bad request: remove_hostfwd: bad arguments.id\n", 1},
		{[]string{"remove", "1"}, "", "", 0},
		{[]string{"forwards"}, "ID  PROTO  HOST  GUEST\n", "", 0},
		{[]string{"stats"}, "", "slirp4netns ctl stats: the slirp4netns there does not know this request: it is the C program, or an older one\n", 1},
	} {
		stdout, stderr, status := ctl(t, g.UID, append([]string{path}, step.args...)...)
		if status != step.status || stdout != step.stdout || stderr != step.stderr {
			t.Errorf("%v: status %d, %q, %q; want %+v", step.args, status, stdout, stderr, step)
		}
	}
}
