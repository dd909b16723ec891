package e2e

import (
	"bufio"
	"context"
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
				checkLastLines(t, s, "tap0 is gone, deleted or with the network namespace of "+target+", exiting\n")
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

// TestExitFDOutlivesTheNamespace: who gives an exit-fd says by it when we end,
// as with the C program, and does not wait at the start for what it takes to
// see the namespace's end.
func TestExitFDOutlivesTheNamespace(t *testing.T) {
	for name, o := range bothUsers {
		t.Run(name, func(t *testing.T) {
			g := lab.NewGuest(t, o)
			s := g.Slirp(t, "-c")
			checkReachesHost(t, g)
			g.Kill()
			time.Sleep(time.Second)
			if err := s.Process.Signal(syscall.Signal(0)); err != nil {
				t.Errorf("it ended before its exit-fd did: %v\n%s", err, s.Log())
			}
			s.Stop()
			checkLastLines(t, s, "exitfd event\ndo_slirp is exiting\n")
		})
	}
}

// TestEndWithoutRoom is a guest whose user may make no throw-away namespace for
// the TAP: the process that was named stands for the namespace then.
func TestEndWithoutRoom(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Run(t, commandTimeout, "sh", "-c", "echo 0 > /proc/sys/user/max_net_namespaces")
	s := lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: []string{"-c", strconv.Itoa(g.PID), "tap0"}, NoExitFD: true})
	checkReachesHost(t, g)
	g.Kill()
	if state := s.Wait(endTimeout); state == nil || state.ExitCode() != 0 {
		t.Errorf("ended with %v, want status 0", state)
	}
	checkLastLines(t, s, fmt.Sprintf("PID %d is gone, exiting\n", g.PID))
}

// TestEndOfTemplate is a TAP whose name the kernel was to complete.
func TestEndOfTemplate(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Run(t, commandTimeout, "ip", "tuntap", "add", "tap0", "mode", "tap")
	s := lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: []string{"-c", strconv.Itoa(g.PID), "tap%d"}, NoExitFD: true})
	g.Run(t, commandTimeout, "ip", "link", "show", "tap1")
	g.Kill()
	if state := s.Wait(endTimeout); state == nil || state.ExitCode() != 0 {
		t.Errorf("ended with %v, want status 0", state)
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
		for _, sig := range []syscall.Signal{
			unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGKILL,
		} {
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
// TestFloodDoesNotHoldTheEnd: a guest that sends without end does not keep us
// from ending.
func TestFloodDoesNotHoldTheEnd(t *testing.T) {
	for _, how := range []string{"exit-fd", "SIGTERM"} {
		t.Run(how, func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{})
			s := g.Slirp(t, "-c")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range 4 {
				c, err := g.Dial("udp4", "198.51.100.2:9", commandTimeout)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				go func() {
					for b := make([]byte, 100); ctx.Err() == nil; {
						c.Write(b)
					}
				}()
			}
			time.Sleep(300 * time.Millisecond)
			if how == "SIGTERM" {
				s.Process.Signal(unix.SIGTERM)
				if state := s.Wait(endTimeout); state == nil || state.Sys().(syscall.WaitStatus).Signal() != unix.SIGTERM {
					t.Errorf("ended with %v, want SIGTERM", state)
				}
				return
			}
			s.Stop()
		})
	}
}

// TestHandshakesThatAreNotOpen: a number that the caller did not open is not
// taken for whatever has it by then.
func TestHandshakesThatAreNotOpen(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	for fd := 3; fd <= 12; fd++ {
		n := strconv.Itoa(fd)
		ctx, cancel := context.WithTimeout(t.Context(), endTimeout)
		cmd := lab.Command(ctx, g.UID, lab.Binary, append(lab.Locks(), "-c", "-r", n, "-e", n, strconv.Itoa(g.PID), "tap"+n)...)
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil || !strings.Contains(string(out), "ready-fd "+n+": Bad file descriptor\n") ||
			!strings.HasSuffix(string(out), "exitfd event\ndo_slirp is exiting\n") {
			t.Errorf("fd %d: %v\n%s", fd, err, out)
		}
	}
}

// TestSignalWhileBlocked: a stage that waits for the caller does not hold a
// signal.
func TestSignalWhileBlocked(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	// The banner does not fit in. Fd makes the descriptor blocking.
	fd := int(w.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for full := make([]byte, 4096); err == nil; {
		_, err = unix.Write(fd, full)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	cmd := lab.Command(t.Context(), g.UID, lab.Binary, append(lab.Locks(), "-c", strconv.Itoa(g.PID), "tap0")...)
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	cmd.Process.Signal(unix.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
		if sig := cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(); sig != unix.SIGTERM {
			t.Errorf("ended with %v, want SIGTERM", cmd.ProcessState)
		}
	case <-time.After(endTimeout):
		cmd.Process.Kill()
		<-ended
		t.Error("SIGTERM did not end it")
	}
}

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
					`setpriv --pdeathsig %s %s %s -c -r 9 %d tap0 9>&1 >/dev/null 2>&1 & echo $!; exec cat`, sig, lab.Binary, strings.Join(lab.Locks(), " "), g.PID))
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
