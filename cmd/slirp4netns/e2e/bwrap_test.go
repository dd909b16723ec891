package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// bubble is a bwrap(1) whose program waits until it is let go.
type bubble struct {
	*exec.Cmd
	PID   int // of the program
	block *os.File
	out   lab.Log
}

// newBubble starts one for an ordinary user, with a name server. It may not have
// --die-with-parent: its parent is whatever thread of ours has started it.
func newBubble(t *testing.T, options []string, program ...string) *bubble {
	t.Helper()
	resolv := filepath.Join(lab.TempDir(t, user), "resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver 10.0.2.3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	info, infoW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer info.Close()
	blockR, block, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--unshare-user", "--unshare-net", "--ro-bind", "/", "/", "--ro-bind", resolv, "/etc/resolv.conf",
		"--proc", "/proc", "--info-fd", "3", "--block-fd", "4"}, options...)
	checkDocumented(t, "bwrap "+strings.Join(args, " ")+" COMMAND")
	b := &bubble{Cmd: lab.Command(t.Context(), user, "bwrap", append(args, program...)...), block: block}
	b.Stdout, b.Stderr = &b.out, &b.out
	b.ExtraFiles = []*os.File{infoW, blockR}
	err = b.Start()
	infoW.Close()
	blockR.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		block.Close()
		b.Process.Kill()
		b.Wait()
	})
	info.SetReadDeadline(time.Now().Add(commandTimeout))
	said := struct {
		PID int `json:"child-pid"`
	}{}
	if err := json.NewDecoder(info).Decode(&said); err != nil {
		t.Fatalf("bwrap %v: %v: %s", options, err, b.out.String())
	}
	b.PID = said.PID
	await(t, "the user namespace has users", func() bool { // bwrap may be a moment before
		users, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", b.PID))
		return err == nil && len(users) > 0
	})
	return b
}

// depth is how many user namespaces a process is below those that we see.
func depth(t *testing.T, pid int) (n int) {
	t.Helper()
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for {
		above, err := unix.IoctlRetInt(ns, unix.NS_GET_PARENT)
		unix.Close(ns)
		if err == unix.EPERM {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		ns = above
		n++
	}
}

// TestBubblewrap is programs that bwrap confines. With a /dev of its own, or as
// another user than root, it leaves them in a user namespace below that of the
// network. The C program can connect only the first of these, without sandbox, and
// says "setns(CLONE_NEWNET): Operation not permitted" to the others.
func TestBubblewrap(t *testing.T) {
	for _, c := range []struct {
		name    string
		depth   int
		options []string
	}{
		{"root", 1, []string{"--uid", "0", "--gid", "0"}},
		{"with devices", 2, []string{"--dev", "/dev"}},
		{"no user namespaces", 2, []string{"--unshare-all", "--disable-userns", "--uid", "1000", "--dev", "/dev"}},
	} {
		for how, args := range map[string]func(pid int) []string{
			"PID": func(pid int) []string { return []string{fmt.Sprint(pid)} },
			"PID and user namespace": func(pid int) []string {
				return []string{fmt.Sprintf("--userns-path=/proc/%d/ns/user", pid), fmt.Sprint(pid)}
			},
			"path and user namespace, locked": func(pid int) []string {
				return append(bothLocks[:2:2], "--netns-type=path", fmt.Sprintf("--userns-path=/proc/%d/ns/user", pid), fmt.Sprintf("/proc/%d/ns/net", pid))
			},
		} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				b := newBubble(t, c.options, "curl", "-sSm5", "http://lab.test/", "http://198.51.100.2/")
				above := depth(t, b.Process.Pid)
				await(t, "the user namespaces are made", func() bool { return depth(t, b.PID) == above+c.depth })
				s := lab.StartSlirp(t, lab.SlirpOptions{UID: user, NoExitFD: true,
					Args: append(append([]string{"-c", "--disable-host-loopback"}, args(b.PID)...), "tap0")})
				checkSlirpDocumented(t, s)
				b.block.WriteString("go")
				err := b.Wait()
				if got := b.out.String(); err != nil || got != strings.Repeat(lab.InetPage, 2) {
					t.Errorf("the program: %v, %q", err, got)
				}
				if state := s.Wait(endTimeout); state == nil || state.ExitCode() != 0 {
					t.Errorf("slirp4netns ended with %v, want status 0", state)
				}
			})
		}
	}
}
