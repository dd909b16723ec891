package outbound

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// Of several ICMP errors in a socket's queue the first one is told, and what is
// no ICMP error is passed over. The kernel queues them for UDP as for TCP.
func TestQueuedError(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, o := range [][2]int{{unix.IP_RECVERR, 1}, {unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO}} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, o[0], o[1]); err != nil {
			t.Fatal(err)
		}
	}
	// An error of our own kernel's: too long for any packet.
	if err := unix.Sendto(fd, make([]byte, 65535), 0, &unix.SockaddrInet4{Addr: loopback4.As4(), Port: 9}); err != unix.EMSGSIZE {
		t.Fatalf("65535 bytes: %v, want EMSGSIZE", err)
	}
	var ports []uint16
	for range 3 {
		closed, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(closed, &unix.SockaddrInet4{Addr: loopback4.As4()}); err != nil {
			t.Fatal(err)
		}
		local, _ := hostsock.Names(closed)
		unix.Close(closed)
		ports = append(ports, local.Port())
	}
	for _, port := range ports {
		to := &unix.SockaddrInet4{Addr: loopback4.As4(), Port: int(port)}
		for range 3 { // it may tell an earlier one's error
			if unix.Sendto(fd, []byte("x"), 0, to) == nil {
				break
			}
		}
	}
	for i, port := range ports {
		e, ok := queuedError(fd)
		if !ok || e.Errno != unix.ECONNREFUSED || e.Dst.Port() != port || e.Offender != loopback4 {
			t.Errorf("error %d: %+v, %v, want ECONNREFUSED about port %d", i, e, ok, port)
		}
	}
	if e, ok := queuedError(fd); ok {
		t.Errorf("one more: %+v", e)
	}
}
