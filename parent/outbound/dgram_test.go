package outbound

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An error of an earlier datagram, whose entry of the error queue somebody has
// read between the kernel's two reports, is not that of the next one: it
// leaves all the same, and the guest is told nothing of it.
func TestErrorOfAnEarlierDatagram(t *testing.T) {
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	f := &udpFlow{dgram: dgram{cfg: &dgramConfig{}, fd: fd, opts: sockopts4}}
	f.owner = f
	for range 10 {
		leaveError(t, fd)
		to := peer.LocalAddr().(*net.UDPAddr).AddrPort()
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
		if errno := f.sendOne([]byte("hello"), to, make([]byte, 28)); errno != 0 {
			t.Fatalf("the error of an earlier datagram is taken for this one's: %v", errno)
		}
		b := make([]byte, 16)
		peer.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, _, err := peer.ReadFromUDP(b); err != nil || string(b[:n]) != "hello" {
			t.Fatalf("the peer got %q, %v", b[:n], err)
		}
	}
}

// leaveError gives the socket an error without an entry in its queue. A
// connected socket without IP_RECVERR has just that.
func leaveError(t *testing.T, fd int) {
	t.Helper()
	closed, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	port := closed.LocalAddr().(*net.UDPAddr).Port
	closed.Close()
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte("x")); err != nil {
		t.Fatal(err)
	}
	p := []unix.PollFd{{Fd: int32(fd)}}
	for end := time.Now().Add(5 * time.Second); p[0].Revents&unix.POLLERR == 0; {
		if _, err := unix.Poll(p, 1000); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatal("no error about a datagram to a closed port")
		}
	}
}

// What an error that comes again is: the datagram's own.
func TestErrorOfItsOwn(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	f := &udpFlow{dgram: dgram{cfg: &dgramConfig{}, fd: fd, opts: sockopts4}}
	f.owner = f
	// Without SO_BROADCAST (ip(7)).
	if errno := f.sendOne([]byte("hello"), netip.MustParseAddrPort("127.255.255.255:9"), nil); errno != unix.EACCES {
		t.Errorf("broadcast without permission: %v, want EACCES", errno)
	}
}
