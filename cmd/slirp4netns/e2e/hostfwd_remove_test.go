package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
)

// A removed forward's port is free at once. Established connections go on,
// unless "drain" is false: then both ends see a reset.
func TestHostfwdRemove(t *testing.T) {
	g, _, path := controlled(t)
	ended := make(chan error, 1)
	serveTCP(t, g, "0.0.0.0:7", func(c *net.TCPConn) {
		_, err := io.Copy(c, c)
		ended <- err
	})
	for arguments, cut := range map[string]bool{"": false, `,"drain":true`: false, `,"drain":false`: true} {
		id, port := forward(t, path, "tcp", "127.0.0.1", 0, 7)
		c := dialHost(t, port)
		if err := echo(c); err != nil {
			t.Fatal(err)
		}
		if got := askAPI(t, path, fmt.Sprintf(`{"execute":"remove_hostfwd","arguments":{"id":%d%s}}`, id, arguments)); got != `{"return":{}}` {
			t.Fatal(got)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Errorf("%s: the port is not free: %v", arguments, err)
		} else {
			l.Close()
		}
		if cut {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: the client reads %v, want a reset", arguments, err)
			}
			if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: the guest reads %v, want a reset", arguments, err)
			}
			continue
		}
		if err := echo(c); err != nil {
			t.Errorf("%s: an established connection: %v", arguments, err)
		}
		c.Close()
		if err := <-ended; err != nil {
			t.Errorf("%s: the end of an established connection: %v", arguments, err)
		}
	}
}

// echo sends something and wants it back.
func echo(c net.Conn) error {
	const text = "still there?"
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	b := make([]byte, len(text))
	_, err := io.ReadFull(c, b)
	return err
}
