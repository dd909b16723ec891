package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// endTimeout is within what everything here must end.
const endTimeout = 5 * time.Second

// bothUsers are an ordinary user, who is root in his guest, and root, whose
// guest has no user namespace.
var bothUsers = map[string]lab.GuestOptions{"user": byUser, "root": byRoot}

func TestEndOfNamespace(t *testing.T) {
	for name, o := range bothUsers {
		for kind, args := range map[string]func(*lab.Guest) (args []string, target string){
			"PID": func(g *lab.Guest) ([]string, string) {
				return []string{"-c", strconv.Itoa(g.PID), "tap0"}, fmt.Sprintf("PID %d", g.PID)
			},
			"path": func(g *lab.Guest) ([]string, string) { return pathOnly(g), g.Path() },
			"without -c": func(g *lab.Guest) ([]string, string) {
				return []string{strconv.Itoa(g.PID), "tap0"}, fmt.Sprintf("PID %d", g.PID)
			},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				g := lab.NewGuest(t, o)
				args, target := args(g)
				s := lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: args, NoExitFD: true})
				g.Kill()
				state := s.Wait(endTimeout)
				if state == nil || state.ExitCode() != 0 {
					t.Errorf("ended with %v, want status 0", state)
				}
				checkLastLines(t, s, "tap0 is gone with the network namespace of "+target+", exiting\n")
			})
		}
	}
}

// checkLastLines is for a process that has ended. Before want there is the
// banner, and nothing else.
func checkLastLines(t *testing.T, s *lab.Slirp, want string) {
	t.Helper()
	const bannerEnd = "to prohibit connecting to 127.0.0.1:*)\n"
	if _, got, ok := strings.Cut(s.Log(), bannerEnd); !ok || got != want {
		t.Errorf("said %q after the banner, want %q", got, want)
	}
}

// TestNamespaceOutlivesItsPID: the namespace is what counts, not the process
// that the command line named.
func TestNamespaceOutlivesItsPID(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	keep, err := os.Open(g.Path())
	if err != nil {
		t.Fatal(err)
	}
	s := lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: []string{"-c", strconv.Itoa(g.PID), "tap0"}, NoExitFD: true})
	g.Kill()
	time.Sleep(time.Second)
	if err := s.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("it ended while the namespace was open: %v\n%s", err, s.Log())
	}
	keep.Close()
	if state := s.Wait(endTimeout); state == nil || state.ExitCode() != 0 {
		t.Errorf("ended with %v, want status 0", state)
	}
}

// TestExitFDOutlivesTheGuest: a caller who holds an exit-fd ends us himself, as
// with the C program.
func TestExitFDOutlivesTheGuest(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	s := g.Slirp(t, "-c")
	g.Kill()
	time.Sleep(time.Second)
	if err := s.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("it ended: %v\n%s", err, s.Log())
	}
	s.Stop()
}

// TestCallersTAPOutlivesTheGuest: our descriptor keeps the namespace of a TAP
// that the caller made. The exit-fd decides, as with the C program.
func TestCallersTAPOutlivesTheGuest(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	makeTAP(t, g)
	s := g.Slirp(t, "-c")
	g.Kill()
	time.Sleep(time.Second)
	if err := s.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("it ended: %v\n%s", err, s.Log())
	}
	s.Stop()
}

// TestTAPDeleted is a guest who deletes his own interface.
func TestTAPDeleted(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	s := g.Slirp(t, "-c")
	g.Run(t, commandTimeout, "ip", "link", "del", "tap0")
	if state := s.Wait(endTimeout); state == nil || state.ExitCode() != 0 {
		t.Errorf("ended with %v, want status 0", state)
	}
}

func TestSignals(t *testing.T) {
	for name, o := range bothUsers {
		for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGKILL} {
			t.Run(fmt.Sprintf("%s, %v", name, sig), func(t *testing.T) {
				g := lab.NewGuest(t, o)
				s := g.Slirp(t, "-c")
				if err := s.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				state := s.Wait(endTimeout)
				if state == nil {
					return
				}
				if status := state.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig {
					t.Errorf("wait status %v, want death by %v", state, sig)
				}
			})
		}
	}
}

// TestIgnoredSignals is nohup(1): what the caller had ignored stays so.
func TestIgnoredSignals(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	s := lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: []string{"-c", strconv.Itoa(g.PID), "tap0"},
		Binary: script(t, g.UID, `trap "" INT HUP; exec slirp4netns "$@"`)})
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGHUP, unix.SIGPIPE} {
		if err := s.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond)
	checkReachesHost(t, g)
	s.Stop()
}

// TestExitFD: the end of it counts, and data does not.
func TestExitFD(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Files: []*os.File{r},
		Args: []string{"-c", "-e", "5", strconv.Itoa(g.PID), "tap0"}})
	r.Close()
	if _, err := io.WriteString(w, "data"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	checkReachesHost(t, g)
	w.Close()
	state := s.Wait(endTimeout)
	if state == nil || state.ExitCode() != 0 {
		t.Errorf("ended with %v, want status 0", state)
	}
	checkLastLines(t, s, "exitfd event\ndo_slirp is exiting\n")
}

// TestExitFDIsNone: one that is not open ends us at once, after the start.
func TestExitFDIsNone(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	lab.RequireBinary(t)
	out, status := runToEnd(t, g.UID, lab.Binary, "-c", "-e", "77", strconv.Itoa(g.PID), "tap0")
	if status != 0 || !strings.HasSuffix(out, "exitfd event\ndo_slirp is exiting\n") {
		t.Errorf("status %d, %q", status, out)
	}
}

// TestDeathOfSupervisor: RootlessKit and Buildah set PR_SET_PDEATHSIG.
func TestDeathOfSupervisor(t *testing.T) {
	for name, o := range map[string]lab.GuestOptions{
		"user": byUser, "root": byRoot, "root, with a user namespace": {Root: true},
	} {
		for _, sig := range []string{"KILL", "TERM"} {
			t.Run(name+", "+sig, func(t *testing.T) {
				g := lab.NewGuest(t, o)
				// The shell is the supervisor. It says when we are ready, and
				// our PID.
				supervisor := lab.Command(t.Context(), g.UID, "sh", "-c", fmt.Sprintf(
					`setpriv --pdeathsig %s %s -c -r 9 %d tap0 9>&1 >/dev/null 2>&1 & echo $!; exec cat`, sig, lab.Binary, g.PID))
				out, err := supervisor.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				stdin, err := supervisor.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				defer stdin.Close()
				if err := supervisor.Start(); err != nil {
					t.Fatal(err)
				}
				defer supervisor.Wait()
				r := bufio.NewReader(out)
				line, err := r.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				pid, err := strconv.Atoi(strings.TrimSpace(line))
				if err != nil {
					t.Fatal(err)
				}
				if one, err := r.ReadByte(); err != nil || one != '1' {
					t.Fatalf("ready-fd: %q, %v", one, err)
				}
				if err := unix.Kill(pid, 0); err != nil {
					t.Fatalf("slirp4netns is not there: %v", err)
				}
				supervisor.Process.Kill()
				await(t, "slirp4netns has ended", func() bool { return unix.Kill(pid, 0) == unix.ESRCH })
			})
		}
	}
}
