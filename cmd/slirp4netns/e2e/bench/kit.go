package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// kitDir is where `make clients` puts RootlessKit.
const kitDir = "bin/lab/rootlesskit"

// kitProgram is the absolute path of its program: the lab's commands run in /.
func kitProgram() string {
	path, err := filepath.Abs(filepath.Join(kitDir, "rootlesskit"))
	if err != nil {
		return kitDir // which does not run, and says so
	}
	return path
}

// kit has RootlessKit connect a guest by its own means.
//
//   - builtin: its port driver, which hands connections over by a socket that
//     it shares with a process in the namespace: no stack, no TAP.
//   - gvisor-tap-vsock: network and ports, on gVisor's netstack as ours.
//
// gateway is where the guest finds the host's 127.0.0.1.
func kit(network, ports, gateway string) func(b *bench, s *subject, o setup, fn func(*place)) {
	return func(b *bench, s *subject, o setup, fn func(*place)) {
		p := b.p.part()
		defer p.Close()
		dir := lab.TempDir(p, lab.OrdinaryUID)
		program := filepath.Join(dir, "rootlesskit")
		content, err := os.ReadFile(kitProgram())
		if err == nil {
			err = lab.WriteExecutable(program, string(content))
		}
		if err != nil {
			b.p.Fatalf("%v (run make clients)", err)
		}
		args := []string{"--state-dir=" + dir + "/state", "--net=" + network, "--port-driver=" + ports,
			"--mtu=" + strconv.Itoa(o.mtu), "--copy-up=/etc", "--copy-up=/run", "--source-ip-transparent=false"}
		if o.forward {
			args = append(args, fmt.Sprintf("--publish=127.0.0.1:%d:%d/tcp", forwardPort, iperfPort),
				fmt.Sprintf("--publish=127.0.0.1:%d:%d/udp", forwardPort, echoPort))
		}
		ctx, cancel := context.WithCancel(context.Background())
		cmd := lab.Command(ctx, lab.OrdinaryUID, program, append(args, "sh", "-c", "echo ready && exec cat")...)
		var said lab.Log
		cmd.Stderr = &said
		stdin, err := cmd.StdinPipe()
		if err != nil {
			b.p.Fatalf("%v", err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.p.Fatalf("%v", err)
		}
		if err := cmd.Start(); err != nil {
			b.p.Fatalf("%v", err)
		}
		p.Cleanup(func() {
			stdin.Close() // it ends with what runs in it
			time.AfterFunc(5*time.Second, cancel)
			cmd.Wait()
		})
		if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
			b.p.Fatalf("rootlesskit: %v\n%s", err, said.String())
		}
		pid, err := childOf(dir + "/state")
		if err != nil {
			b.p.Fatalf("rootlesskit: %v\n%s", err, said.String())
		}
		g := lab.GuestOf(pid, "")
		pids := []int{cmd.Process.Pid, pid}
		fn(&place{ns: &g.Namespace, guest: g, gateway: gateway, pids: pids})
	}
}

// childOf is the process in the namespace, which RootlessKit notes in its state.
func childOf(state string) (pid int, err error) {
	for range 500 { // it may be written after the program's start
		var content []byte
		if content, err = os.ReadFile(filepath.Join(state, "child_pid")); err == nil {
			if pid, err = strconv.Atoi(strings.TrimSpace(string(content))); err == nil {
				return pid, nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 0, err
}
