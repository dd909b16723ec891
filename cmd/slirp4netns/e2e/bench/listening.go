package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// awaitListener waits until a TCP port of a namespace is listened on. It does
// not connect, as await does: an iperf3 -s serves one client and closes its
// socket for a moment after that, and whoever comes then is reset.
func awaitListener(ns *lab.Namespace, port int) error {
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		var there bool
		err := ns.Do(func() (err error) {
			for _, file := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
				table, readErr := os.ReadFile(file)
				if readErr != nil {
					err = readErr
				}
				there = there || listens(string(table), port)
			}
			return err
		})
		switch {
		case there:
			return nil
		case err != nil:
			return err
		case time.Since(start) > 5*time.Second:
			return fmt.Errorf("nobody listens on port %d", port)
		}
	}
}

// listens looks for a socket in state LISTEN (10) in a table of /proc/net/tcp
// (proc_net(5): number, local address and port, remote ones, state).
func listens(table string, port int) bool {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) > 3 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			return true
		}
	}
	return false
}
