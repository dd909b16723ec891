package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// What the host's kernel had received before the peer's RST, a program of the
// host could still read. So the guest does, however late it comes and however
// much it was: more than fits between it and us.
func TestTCPUnreadBeforeReset(t *testing.T) {
	g, _ := connectedGuest(t)
	for _, writes := range []bool{false, true} {
		t.Run(fmt.Sprintf("the guest writes=%v", writes), func(t *testing.T) {
			c, peer := pairUp(t, g)
			wrote := make(chan error, 1)
			if writes {
				// We hear of the end by a write, and not by an event alone.
				go func() { _, err := io.Copy(c, lab.Stream(1<<30)); wrote <- err }()
			}
			sent, acknowledged := fill(t, peer)
			peer.SetLinger(0)
			peer.Close()
			if !writes { // TestTCPWriterOfReset: who writes must not wait
				time.Sleep(300 * time.Millisecond)
			}
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			got, err := io.ReadAll(c)
			if writes {
				// The kernel tells it once, to whichever call is first.
				if w := <-wrote; err == nil {
					err = w
				}
			}
			if len(got) < acknowledged || errno(err) != unix.ECONNRESET {
				t.Errorf("the guest read %d bytes, then %v; %d of %d were acknowledged, and want ECONNRESET then", len(got), err, acknowledged, sent)
			}
			t.Logf("%d bytes sent, %d acknowledged, %d read", sent, acknowledged, len(got))
			want, _ := io.ReadAll(lab.Stream(int64(len(got))))
			if !bytes.Equal(got, want) {
				t.Error("the guest did not read what was sent")
			}
		})
	}
}

// A guest that writes and does not read, when its peer resets, is not left in
// write(2) until it has read all: it hears of the RST soon, as a program of the
// host does at once, and can still read what its own kernel had received. C's
// guest goes on waiting.
func TestTCPWriterOfReset(t *testing.T) {
	g, _ := connectedGuest(t)
	for _, fin := range []bool{false, true} {
		t.Run(fmt.Sprintf("a FIN before=%v", fin), func(t *testing.T) {
			c, peer := pairUp(t, g)
			fill(t, peer)
			if fin {
				peer.CloseWrite()
			}
			unread := kernelHas(t, c)
			wrote := make(chan error, 1)
			c.SetWriteDeadline(time.Now().Add(10 * time.Second))
			go func() { _, err := io.Copy(c, lab.Stream(1<<40)); wrote <- err }()
			time.Sleep(200 * time.Millisecond) // it blocks
			start := time.Now()
			peer.SetLinger(0)
			peer.Close()
			err := <-wrote
			if e := errno(err); e != unix.ECONNRESET && e != unix.EPIPE || time.Since(start) > 2*time.Second {
				t.Errorf("the guest writes: %v after %v, want ECONNRESET or EPIPE within 2 s", err, time.Since(start))
			}
			t.Logf("the guest writes: %v after %v", err, time.Since(start))
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			got, err := io.ReadAll(c)
			if len(got) < unread {
				t.Errorf("the guest then read %d bytes, %v; its kernel had %d", len(got), err, unread)
			}
			want, _ := io.ReadAll(lab.Stream(int64(len(got))))
			if !bytes.Equal(got, want) {
				t.Error("the guest did not read what was sent")
			}
		})
	}
}

// A guest that reads slowly, and writes all the time, gets everything that the
// host's kernel had received, as a program of the host does: that it reads is
// told from what it acknowledges, long before there is room for more with us.
func TestTCPSlowReaderWritesBehindReset(t *testing.T) {
	const size, sip, pause = 3_000_000, 16 << 10, 20 * time.Millisecond
	hostSysctl(t, "net.ipv4.tcp_rmem", fmt.Sprintf("4096 %d %[1]d", 2*size)) // for our socket to take it
	g, _ := connectedGuest(t)
	c, peer := pairUp(t, g)
	peer.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.Copy(peer, lab.Stream(size)); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return unacknowledged(t, peer) == 0 }, false) {
		t.Fatal("our socket did not take what the peer sent")
	}
	peer.SetLinger(0)
	peer.Close()
	wrote := make(chan error, 1)
	go func() {
		for {
			if _, err := c.Write(make([]byte, 1000)); err != nil {
				wrote <- err
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	start := time.Now()
	var got bytes.Buffer
	var err error
	for c.SetReadDeadline(start.Add(30 * time.Second)); err == nil; time.Sleep(pause) {
		_, err = io.CopyN(&got, c, sip)
	}
	// The kernel tells of the RST once, to whichever call is first.
	if w := <-wrote; errno(err) != unix.ECONNRESET && errno(w) != unix.ECONNRESET {
		t.Errorf("the guest's read ends with %v and its write with %v, want ECONNRESET of one", err, w)
	}
	t.Logf("%d of %d bytes read in %v", got.Len(), size, time.Since(start))
	want, _ := io.ReadAll(lab.Stream(size))
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the guest read %d bytes, want the %d that were sent", got.Len(), size)
	}
}

// kernelHas is how many bytes can be read from c (SIOCINQ, tcp(7)).
func kernelHas(t *testing.T, c *net.TCPConn) (n int) {
	t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	rc.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// With a FIN before the RST a program of the host reads all, and the end. So
// does the guest, and more than fits between it and us does not change that.
func TestTCPUnreadBeforeFINAndReset(t *testing.T) {
	const size = 2_000_000
	hostSysctl(t, "net.ipv4.tcp_rmem", fmt.Sprintf("4096 %d %[1]d", 4*size)) // for our socket to take it
	g, _ := connectedGuest(t)
	c, peer := pairUp(t, g)
	peer.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.Copy(peer, lab.Stream(size)); err != nil {
		t.Fatal(err)
	}
	peer.CloseWrite()
	time.Sleep(300 * time.Millisecond)
	if state, err := tcpState(peer); state != stateFinWait2 || err != nil {
		t.Fatalf("the peer is in state %d, %v, want FIN_WAIT2: all has arrived", state, err)
	}
	peer.SetLinger(0)
	peer.Close()
	time.Sleep(300 * time.Millisecond)
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	got, err := io.ReadAll(c)
	want, _ := io.ReadAll(lab.Stream(size))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the guest read %d bytes, then %v; want %d, then the end", len(got), err, size)
	}
}

// stateFinWait2 is TCP_FIN_WAIT2 of linux/tcp_states.h.
const stateFinWait2 = 5

// fill writes until nothing more has gone for half a second. The bytes that
// were acknowledged are with the kernel of the other end.
func fill(t *testing.T, c *net.TCPConn) (sent, acknowledged int) {
	t.Helper()
	stream := lab.Stream(1 << 40)
	b := make([]byte, 16<<10)
	for {
		if _, err := io.ReadFull(stream, b); err != nil {
			t.Fatal(err)
		}
		c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := c.Write(b)
		sent += n
		if err != nil {
			break
		}
	}
	return sent, sent - unacknowledged(t, c)
}

// unacknowledged is how many bytes the kernel of the other end does not have
// (SIOCOUTQ, tcp(7)).
func unacknowledged(t *testing.T, c *net.TCPConn) (n int) {
	t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	rc.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}
