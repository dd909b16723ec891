package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// ctl runs the subcommand and returns what it says.
func ctl(t *testing.T, uid int, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := lab.Command(ctx, uid, lab.Binary, append([]string{"ctl"}, args...)...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// A session with slirp4netns ctl, as a user has it.
func TestCtl(t *testing.T) {
	g, s, path := controlled(t)
	lab.Give(path, g.UID)
	guestServers(t, g, 80, 81)
	for _, step := range []struct {
		args           []string
		stdout, stderr string
		status         int
	}{
		{[]string{"forwards"}, "ID  PROTO  HOST  GUEST\n", "", 0},
		{[]string{"add", "127.0.0.1:28080:80"}, "1\n", "", 0},
		{[]string{"add", "[::1]:28090-28099:80-89/udp"}, "2\n", "", 0},
		{[]string{"add", "127.0.0.1:28080:80"}, "",
			"slirp4netns ctl add 127.0.0.1:28080:80: bind 127.0.0.1:28080: address already in use: forward 1 has 127.0.0.1:28080/tcp\n", 1},
		{[]string{"add", "28080"}, "3 port ", "", 0},
		{[]string{"add", "28080:"}, "", "slirp4netns ctl add 28080:: guest port: \"\", want 1 to 65535\n", 1},
		{[]string{"remove", "3"}, "", "", 0},
		{[]string{"remove", "3"}, "", "slirp4netns ctl remove 3: forward 3: no such forward\n", 1},
		{[]string{"remove", "x"}, "", "slirp4netns ctl remove x: \"x\" is no ID, which is a number\n", 1},
		{[]string{"forwards"}, `ID  PROTO  HOST               GUEST
1   tcp    127.0.0.1:28080    10.0.2.100:80
2   udp    [::1]:28090-28099  10.0.2.100:80-89
`, "", 0},
		{[]string{"forwards", "--json"}, `{"entries":[{"id":1,"proto":"tcp","host_addr":"127.0.0.1","host_port":28080,"guest_addr":"10.0.2.100","guest_port":80},` +
			`{"id":2,"proto":"udp","host_addr":"::1","host_port":28090,"guest_addr":"10.0.2.100","guest_port":80,"host_port_end":28099}]}` + "\n", "", 0},
		{[]string{"remove", "2", "--cut"}, "", "", 0},
		{[]string{}, "", "Usage: slirp4netns ctl SOCKET COMMAND", 1},
		{[]string{"forward"}, "", "Usage: slirp4netns ctl SOCKET COMMAND", 1},
		{[]string{"add"}, "", "Usage: slirp4netns ctl SOCKET COMMAND", 1},
		{[]string{"stats", "--cut"}, "", "Usage: slirp4netns ctl SOCKET COMMAND", 1},
		{[]string{"--help"}, "Usage: slirp4netns ctl SOCKET COMMAND", "", 0},
	} {
		stdout, stderr, status := ctl(t, g.UID, append([]string{path}, step.args...)...)
		if status != step.status || !saysWhat(stdout, step.stdout) || !saysWhat(stderr, step.stderr) {
			t.Errorf("%v: status %d, stdout %q, stderr %q; want %d, %q, %q", step.args, status, stdout, stderr, step.status, step.stdout, step.stderr)
		}
	}

	if got, err := (client{to: "127.0.0.1"}).answer("tcp", 28080); err != nil || got != "80" {
		t.Errorf("through a forward of ctl: %q, %v", got, err)
	}
	conn := dialHost(t, 28080)
	stdout, _, _ := ctl(t, g.UID, path, "flows")
	if want := conn.LocalAddr().String(); !strings.Contains(stdout, want) || !strings.HasPrefix(stdout, "PROTO  FROM  GUEST") {
		t.Errorf("flows: %s\nwant a line with %s", stdout, want)
	}
	stdout, _, _ = ctl(t, g.UID, path, "info")
	for _, want := range []string{fmt.Sprintf("pid         %d\n", s.Process.Pid), "mtu         1500\n", "guest       10.0.2.100\n", "interface   tap0\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("info: %s\nwant %q", stdout, want)
		}
	}
	stdout, _, _ = ctl(t, g.UID, path, "stats")
	for _, want := range []string{"PROTO  SENT", "forwarded tcp   ", "uptime ", "memory "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("stats: %s\nwant %q", stdout, want)
		}
	}
	for _, verb := range []string{"info", "stats", "flows"} {
		if stdout, _, _ := ctl(t, g.UID, path, verb, "--json"); !json.Valid([]byte(stdout)) || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%s --json: %s", verb, stdout)
		}
	}
	s.Stop()
	if _, stderr, status := ctl(t, g.UID, path, "stats"); status != 1 || !strings.Contains(stderr, "no such file or directory") {
		t.Errorf("after the end: status %d, %s", status, stderr)
	}
}

// saysWhat tells whether a program said all of want, or where want has no
// newline at its end, something that begins with it.
func saysWhat(said, want string) bool {
	if want == "" || strings.HasSuffix(want, "\n") {
		return said == want
	}
	return strings.HasPrefix(said, want)
}

// A socket that is somebody else's is not ours to talk to.
func TestCtlOfAnotherUser(t *testing.T) {
	lab.NeedUsers(t)
	g := lab.NewGuest(t, lab.GuestOptions{Root: true})
	path := "/run/lab/root-api"
	g.Slirp(t, "--api-socket="+path)
	if _, stderr, status := ctl(t, lab.OrdinaryUID, path, "info"); status != 1 || !strings.HasSuffix(stderr, path+": permission denied: it is another user's slirp4netns (--api-socket-mode)\n") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if _, err := net.Dial("unix", path); err != nil {
		t.Errorf("root: %v", err)
	}
}
