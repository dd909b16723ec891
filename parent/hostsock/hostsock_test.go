package hostsock

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// peerAddr is for peers here alone: a port of 127.0.0.1 that one of them gave
// up may be another test's a moment later.
var peerAddr = net.IPv4(127, 77, byte(os.Getpid()>>8), byte(os.Getpid()))

// pair is a socket that is not connected, with IP_RECVERR, and a peer.
func pair(t *testing.T) (fd int, peer *net.UDPConn, to netip.AddrPort) {
	t.Helper()
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: peerAddr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1); err != nil {
		t.Fatal(err)
	}
	a := peer.LocalAddr().(*net.UDPAddr).AddrPort()
	return fd, peer, netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func TestSendAndReceive(t *testing.T) {
	fd, peer, to := pair(t)
	for _, want := range []string{"", "x", "hello"} {
		if errno := SendTo(fd, []byte(want), to, nil); errno != 0 {
			t.Fatalf("send %q: %v", want, errno)
		}
		b := make([]byte, MaxDatagram)
		n, from, err := peer.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != want {
			t.Fatalf("the peer got %q, %v; want %q", b[:n], err, want)
		}
		if _, err := peer.WriteToUDPAddrPort(b[:n], from); err != nil {
			t.Fatal(err)
		}
		n, src, errno := RecvFrom(fd, b)
		if errno != 0 || src != to || string(b[:n]) != want {
			t.Errorf("got %q from %v, %v; want %q from %v", b[:n], src, errno, want, to)
		}
	}
	if _, _, errno := RecvFrom(fd, make([]byte, 1)); errno != unix.EAGAIN {
		t.Errorf("nothing to receive: %v, want EAGAIN", errno)
	}
}

func TestErrorQueue(t *testing.T) {
	fd, peer, to := pair(t)
	peer.Close()
	if errno := SendTo(fd, []byte("anybody there?"), to, nil); errno != 0 {
		t.Fatal(errno)
	}
	b := make([]byte, 100)
	var e Error
	errno := unix.EAGAIN
	for deadline := time.Now().Add(5 * time.Second); errno == unix.EAGAIN && time.Now().Before(deadline); {
		e, errno = RecvErr(fd, b)
	}
	if errno != 0 {
		t.Fatalf("no error in the queue: %v", errno)
	}
	if e.Errno != unix.ECONNREFUSED || e.Origin != unix.SO_EE_ORIGIN_ICMP || e.Type != 3 || e.Code != 3 {
		t.Errorf("%+v, want ECONNREFUSED by ICMP 3/3", e)
	}
	if e.Dst != to || e.Offender != to.Addr() || string(e.Payload) != "anybody there?" {
		t.Errorf("%+v: want it sent to and refused by %v, with its payload", e, to)
	}
}

// What is done for each datagram allocates nothing.
func TestAllocations(t *testing.T) {
	fd, peer, to := pair(t)
	payload, b := make([]byte, 1000), make([]byte, MaxDatagram)
	from := netip.AddrPort{}
	round := func() {
		SendTo(fd, payload, to, nil)
		_, from, _ = peer.ReadFromUDPAddrPort(b)
		peer.WriteToUDPAddrPort(payload, from)
		RecvFrom(fd, b)
	}
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations for a datagram each way, want none", n)
	}
}
