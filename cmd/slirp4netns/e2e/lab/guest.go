package lab

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Guest is a network namespace with nothing but a lo that is down, held by a
// process that waits in it.
type Guest struct {
	Namespace
	PID int // the holder
	UID int // who made it, and runs slirp4netns for it

	enter []string // nsenter's options
	wait  chan struct{}
}

// GuestKind is how the guest's namespaces are made.
type GuestKind int

const (
	// MapRoot is unshare --map-root-user: the user is root inside.
	MapRoot GuestKind = iota
	// MapCurrent is unshare --map-current-user: the user is himself inside.
	MapCurrent
	// Unmapped is unshare --user: nobody has a number inside.
	Unmapped
	// MapOthers is unshare --map-auto: the users inside are subordinate ones, and
	// the user himself has no number. It needs two users (NeedUsers).
	MapOthers
	// NoUserNS has only a network and a mount namespace; for root.
	NoUserNS
)

// GuestOptions says what guest to make. The zero value is the usual one: made
// by OrdinaryUID, who is root inside.
type GuestOptions struct {
	Kind GuestKind
	Root bool // made by uid 0 in place of OrdinaryUID
}

// NewGuest makes a guest, which ends with the test.
func NewGuest(t T, o GuestOptions) *Guest {
	t.Helper()
	g := &Guest{UID: OrdinaryUID, wait: make(chan struct{})}
	if o.Root {
		g.UID = 0
	}
	unshare := []string{"-n", "-m"}
	g.enter = []string{"-n", "-m"}
	if o.Kind != NoUserNS {
		g.enter = []string{"-U", "--preserve-credentials", "-n", "-m"}
		unshare = append(unshare, map[GuestKind]string{
			MapRoot:    "--map-root-user",
			MapCurrent: "--map-current-user",
			Unmapped:   "--user",
			MapOthers:  "--map-auto",
		}[o.Kind])
	}
	// unshare(1) does not fork: the holder has the PID that we start. It
	// ends when its standard input does.
	cmd := Command(context.Background(), g.UID, "unshare",
		append(unshare, "--", "/bin/sh", "-c", "echo ready && exec cat")...)
	if err := g.hold(cmd); err != nil {
		t.Fatalf("make a guest (%v): %v", cmd.Args, err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-g.wait
	})
	return g
}

// GuestOf is a guest that another program has made, as OrdinaryUID: the
// namespaces of the process pid, or its user and mount namespaces and the
// network namespace netns, a path inside of them. It ends when its maker wants.
func GuestOf(pid int, netns string) *Guest {
	g := &Guest{PID: pid, UID: OrdinaryUID, enter: []string{"-U", "--preserve-credentials", "-m"}}
	g.path = fmt.Sprintf("/proc/%d/ns/net", pid)
	if netns != "" {
		g.path = fmt.Sprintf("/proc/%d/root%s", pid, netns)
	}
	g.enter = append(g.enter, "-n"+g.path)
	return g
}

// hold starts the holder and waits until it is in its namespaces.
func (g *Guest) hold(cmd *exec.Cmd) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	var said Log
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		cmd.Process.Kill()
		cmd.Wait()
		return fmt.Errorf("it said %q and %q", line, said.String())
	}
	g.PID = cmd.Process.Pid
	g.path = fmt.Sprintf("/proc/%d/ns/net", g.PID)
	go func() {
		cmd.Wait()
		close(g.wait)
	}()
	return nil
}

// Kill ends the holder, and with it the namespace, if nobody else is in it.
func (g *Guest) Kill() {
	p, err := os.FindProcess(g.PID)
	if err == nil {
		p.Kill()
	}
	<-g.wait
}

// UserNS is the path of the guest's user namespace, for --userns-path.
func (g *Guest) UserNS() string { return fmt.Sprintf("/proc/%d/ns/user", g.PID) }

// Command is a command that runs inside the guest, as its user.
func (g *Guest) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	enter := append(g.Enter(), name)
	return Command(ctx, g.UID, enter[0], append(enter[1:], args...)...)
}

// Enter is the start of a command line that runs the rest inside the guest,
// when its user runs it.
func (g *Guest) Enter() []string {
	enter := append([]string{"nsenter"}, g.enter...)
	return append(enter, "-t", strconv.Itoa(g.PID), "--")
}

// Run runs a command inside the guest for at most the given time and returns
// its standard output. A failure fails the test with all that it said.
func (g *Guest) Run(t T, timeout time.Duration, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := g.Command(ctx, name, args...)
	var stderr Log
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		err = fmt.Errorf("not done after %v", timeout)
	}
	if err != nil {
		t.Fatalf("guest: %s %v: %v\nstdout: %s\nstderr: %s", name, args, err, out, stderr.String())
	}
	return string(out)
}

// Nameserver makes addr the guest's only resolver. For [MapRoot] and
// [NoUserNS] guests, as it takes a mount.
func (g *Guest) Nameserver(t T, addr string) {
	t.Helper()
	file := filepath.Join(TempDir(t, g.UID), "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver "+addr+"\n"), 0o644); err != nil {
		t.Fatalf("%v", err)
	}
	g.Run(t, 5*time.Second, "mount", "--bind", file, "/etc/resolv.conf")
}

// Dial connects from inside the guest. The address must be a literal one.
func (g *Guest) Dial(network, address string, timeout time.Duration) (c net.Conn, err error) {
	err = g.Do(func() error {
		c, err = net.DialTimeout(network, address, timeout)
		return err
	})
	return c, err
}
