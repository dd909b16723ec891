package e2e

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// What a guest sends to a peer that reads nothing waits in the guest. The host's
// kernel has little memory for TCP (tcp_mem), and when it is used up, all
// connections of the host are slow.
func TestTCPUnsent(t *testing.T) {
	g, s, path := controlled(t)
	full := make(chan struct{})
	serveTCP(t, g, ":5001", func(c *net.TCPConn) {
		fill(t, c)
		close(full)
		<-t.Context().Done()
	})
	_, port := forward(t, path, "tcp", "127.0.0.1", 0, 5001)
	forwarded := dialHost(t, port)
	c, peer := pairUp(t, g)
	fill(t, c)
	<-full
	for name, sleeper := range map[string]*net.TCPConn{"outbound": peer, "forwarded": forwarded} {
		fd := socketOf(t, s.Process.Pid, sleeper.LocalAddr().String())
		defer unix.Close(fd)
		unsent, err := unix.IoctlGetInt(fd, unix.SIOCOUTQNSD)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d KiB", name, unsent>>10)
		// What is written at once may go beyond it.
		if most := 256<<10 + 64<<10; unsent == 0 || unsent > most {
			t.Errorf("%s: %d bytes are not sent, want some, and %d at most", name, unsent, most)
		}
	}
}
