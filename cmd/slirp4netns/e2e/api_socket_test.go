package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
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
			"exit-fd": func(_ *lab.Guest, s *lab.Slirp) { s.Stop() },
			"SIGTERM": func(_ *lab.Guest, s *lab.Slirp) { s.Process.Signal(unix.SIGTERM); s.Wait(commandTimeout) },
			"SIGINT":  func(_ *lab.Guest, s *lab.Slirp) { s.Process.Signal(unix.SIGINT); s.Wait(commandTimeout) },
			"SIGQUIT": func(_ *lab.Guest, s *lab.Slirp) { s.Process.Signal(unix.SIGQUIT); s.Wait(commandTimeout) },
			"SIGHUP":  func(_ *lab.Guest, s *lab.Slirp) { s.Process.Signal(unix.SIGHUP); s.Wait(commandTimeout) },
			"two signals": func(_ *lab.Guest, s *lab.Slirp) {
				s.Process.Signal(unix.SIGTERM)
				s.Process.Signal(unix.SIGHUP)
				s.Wait(commandTimeout)
			},
			"the namespace's end": func(g *lab.Guest, s *lab.Slirp) { g.Kill(); s.Wait(commandTimeout) },
		}
		for name, end := range ends {
			t.Run(strings.Join(append(options, name), " "), func(t *testing.T) {
				g := lab.NewGuest(t, lab.GuestOptions{})
				path := socketPath(t, g.UID)
				args := slices.Concat([]string{"-c", "--api-socket=" + path}, options, []string{fmt.Sprint(g.PID), "tap0"})
				// Who gives an exit-fd outlives the namespace.
				s := lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: args, NoExitFD: name == "the namespace's end"})
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

// The socket's file is gone, too, when what comes after its making fails: the
// child, the device, a forward.
func TestAPISocketIsRemovedAfterFailure(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	taken := lab.NewGuest(t, lab.GuestOptions{})
	taken.Slirp(t, "-c")
	for _, options := range lockedUp {
		for name, c := range map[string]struct {
			g       *lab.Guest
			message string
			args    []string
		}{
			"a forward":            {g, "--publish: bind 127.0.0.1:8000: Address already in use", []string{"-p", "127.0.0.1:28080:80", "-p", "127.0.0.1:8000:80"}},
			"a forward's port":     {g, "--publish: bind 127.0.0.1:79: permission denied", []string{"-p", "127.0.0.1:79:80"}},
			"the device's name":    {taken, "tap0", nil},
			"the outgoing address": {g, "192.0.2.99", []string{"--outbound-addr=192.0.2.99"}},
			"the Ethernet address": {g, "MAC", []string{"--macaddress=ff:ff:ff:ff:ff:ff"}},
		} {
			t.Run(strings.Join(append(options[:len(options):len(options)], name), " "), func(t *testing.T) {
				path := socketPath(t, user)
				made := watchFor(t, path)
				refused(t, c.g, c.message, slices.Concat([]string{"-c", "--api-socket=" + path}, options, c.args)...)
				if !gone(path) {
					t.Error("the socket is left behind")
				}
				if !made() {
					t.Error("it was never there: this shows nothing")
				}
			})
		}
	}
}

// watchFor tells, when it is asked, whether a file was ever made.
func watchFor(t *testing.T, path string) (made func() bool) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		t.Fatal(err)
	}
	return func() bool {
		b := make([]byte, 4096)
		n, _ := unix.Read(fd, b)
		return n > 0 && strings.Contains(string(b[:n]), filepath.Base(path))
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
	cmd := lab.Command(ctx, g.UID, lab.Binary, slices.Concat(lab.Locks(), args, []string{fmt.Sprint(g.PID), "tap0"})...)
	var said lab.Log
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), message) {
		t.Errorf("%v: %v, want status 1 and %q; it said:\n%s", args, err, message, said.String())
	}
}
