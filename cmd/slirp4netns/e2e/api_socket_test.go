package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// The socket's file is gone after every end that the process lives to see, in
// the sandbox too, and is there again at the next start.
func TestAPISocketIsRemoved(t *testing.T) {
	for _, options := range [][]string{nil, {"--enable-sandbox", "--enable-seccomp"}} {
		ends := map[string]func(*lab.Guest, *lab.Slirp){
			"exit-fd":             func(_ *lab.Guest, s *lab.Slirp) { s.Stop() },
			"SIGTERM":             func(_ *lab.Guest, s *lab.Slirp) { s.Process.Signal(unix.SIGTERM); s.Wait(commandTimeout) },
			"SIGINT":              func(_ *lab.Guest, s *lab.Slirp) { s.Process.Signal(unix.SIGINT); s.Wait(commandTimeout) },
			"SIGQUIT":             func(_ *lab.Guest, s *lab.Slirp) { s.Process.Signal(unix.SIGQUIT); s.Wait(commandTimeout) },
			"SIGHUP":              func(_ *lab.Guest, s *lab.Slirp) { s.Process.Signal(unix.SIGHUP); s.Wait(commandTimeout) },
			"the namespace's end": func(g *lab.Guest, s *lab.Slirp) { g.Kill(); s.Wait(commandTimeout) },
		}
		for name, end := range ends {
			t.Run(strings.Join(append(options, name), " "), func(t *testing.T) {
				g, s, path := controlled(t, options...)
				if got := askAPI(t, path, `{"execute":"list_hostfwd"}`); got != `{"entries":[],"return":{"entries":[]}}` {
					t.Errorf("reply %s", got)
				}
				end(g, s)
				if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the socket is left behind: %v", err)
				}
			})
		}
	}
}

// A forward works in the sandbox as it does outside.
func TestHostfwdInSandbox(t *testing.T) {
	g, _, path := controlled(t, "--enable-sandbox", "--enable-seccomp", "-p", "127.0.0.1:28085:80")
	serveTCP(t, g, "0.0.0.0:80", tellPeer)
	serveUDP(t, g, "0.0.0.0:80", whoami)
	for host, to := range map[string]string{"127.0.0.1": "127.0.0.1", "::1": "::1", "::": "127.0.0.1"} {
		for _, network := range []string{"tcp", "udp"} {
			_, port := forward(t, path, network, host, 0, 80)
			c, err := client{to: to}.dial(network, port)
			if err != nil {
				t.Fatal(err)
			}
			if network == "udp" {
				c.Write([]byte("who am I?"))
			}
			b := make([]byte, 100)
			if n, err := c.Read(b); err != nil || !strings.HasPrefix(string(b[:n]), "10.0.2.2:") {
				t.Errorf("%s on %s: %q, %v", network, host, b[:n], err)
			}
			c.Close()
		}
	}
	if got, err := readAll(dialHost(t, 28085)); err != nil || !strings.HasPrefix(got, "10.0.2.2:") {
		t.Errorf("--publish: %q, %v", got, err)
	}
	for _, verb := range []string{"query_info", "query_stats", "list_flows"} {
		if got := askAPI(t, path, `{"execute":"`+verb+`"}`); !strings.HasPrefix(got, `{"return":{`) {
			t.Errorf("%s: %s", verb, got)
		}
	}
}

// A socket that nobody listens on is replaced. Anything else is left alone, and
// is an error.
func TestAPISocketPath(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	path := socketPath(t, g.UID)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if err := lab.Give(path, g.UID); err != nil {
		t.Fatal(err)
	}
	s := g.Slirp(t, "--api-socket="+path)
	askAPI(t, path, `{"execute":"list_hostfwd"}`)

	other := lab.NewGuest(t, lab.GuestOptions{})
	refused(t, other, "somebody listens there already", "--api-socket="+path)
	if got := askAPI(t, path, `{"execute":"list_hostfwd"}`); got != `{"entries":[],"return":{"entries":[]}}` {
		t.Errorf("the first one replies %s", got)
	}
	s.Stop()

	if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, other, "left alone", "--api-socket="+path)
	if b, err := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file is changed: %q, %v", b, err)
	}
	refused(t, other, "Not a directory", "--api-socket="+path+"/api")
	refused(t, other, "No such file or directory", "--api-socket="+filepath.Dir(path)+"/none/api")
	refused(t, other, "the specified API socket path is too long (>= 108)", "--api-socket=/"+strings.Repeat("x", 120))
}

// refused starts a slirp4netns that must fail with status 1 and a message.
func refused(t *testing.T, g *lab.Guest, message string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := lab.Command(ctx, g.UID, lab.Binary, append(args, fmt.Sprint(g.PID), "tap0")...)
	var said lab.Log
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), message) {
		t.Errorf("%v: %v, want status 1 and %q; it said:\n%s", args, err, message, said.String())
	}
}
