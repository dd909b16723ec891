package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// prompted are the commands of a page that a user is to type and that contain
// word, in the order in which they are printed.
func prompted(t *testing.T, page, word string) (commands []string) {
	t.Helper()
	b, err := os.ReadFile("../../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if c, ok := strings.CutPrefix(line, "$ "); ok && strings.Contains(c, word) {
			commands = append(commands, strings.TrimSpace(c))
		}
	}
	return commands
}

// typed runs a command as the user would, and returns what it prints.
func typed(t *testing.T, uid int, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	slirp := "slirp4netns() { " + lab.Binary + ` "$@"; }; `
	out, err := lab.Command(ctx, uid, "sh", "-c", slirp+command).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// What README.md and docs/control-socket.md have the user type about forwards,
// as it is printed but for the PID: it is in the order of a session.
func TestReadmeForwards(t *testing.T) {
	const home = "/run/user/1000"
	g := lab.NewGuest(t, lab.GuestOptions{})
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if err := lab.Give(home, g.UID); err != nil {
		t.Fatal(err)
	}
	guestServers(t, g, 53, 80, 443)
	commands := prompted(t, "README.md", "slirp.sock")
	if len(commands) != 4 || !strings.Contains(commands[0], " -p ") {
		t.Fatalf("README.md has %q", commands)
	}
	start := strings.Fields(strings.Replace(commands[0], " 4711 ", fmt.Sprintf(" %d ", g.PID), 1))
	s := lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: start[1:]})
	wantLines(t, s.Log(), "* Published:       [::]:8080 -> 10.0.2.100:80/tcp\n", "* Published:       127.0.0.1:5353 -> 10.0.2.100:53/udp\n")

	check := func(network string, port int, want string) {
		t.Helper()
		got, err := client{to: "127.0.0.1"}.answer(network, port)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s to port %d: %q, %v; want %q", network, port, got, err, want)
		}
	}
	check("tcp", 8080, "80")
	check("udp", 5353, "53")
	check("tcp", 8443, "")
	for i, want := range []string{"3\n", `ID  PROTO  HOST            GUEST
1   tcp    [::]:8080       10.0.2.100:80
2   udp    127.0.0.1:5353  10.0.2.100:53
3   tcp    [::]:8443       10.0.2.100:443
`, ""} {
		if got := typed(t, g.UID, commands[i+1]); got != want {
			t.Errorf("%s prints %q, want %q", commands[i+1], got, want)
		}
	}
	check("tcp", 8080, "")
	check("tcp", 8443, "443")

	for _, c := range prompted(t, "docs/control-socket.md", "slirp.sock") {
		got := typed(t, g.UID, c)
		if !strings.Contains(got, "8443") || strings.Contains(got, "8080") {
			t.Errorf("%s prints %q", c, got)
		}
	}
	if n := len(prompted(t, "docs/control-socket.md", "slirp.sock")); n != 2 {
		t.Errorf("%d commands in docs/control-socket.md, want 2", n)
	}
}
