package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// streams carries a megabyte over loopback, of both families if both are there.
func streams() error {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		config := net.ListenConfig{}
		config.SetMultipathTCP(false)
		l, err := config.Listen(nil, "tcp", address)
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			continue
		}
		if err != nil {
			return err
		}
		go func() {
			c, err := l.Accept()
			if err == nil {
				c.Write(make([]byte, 1<<20))
				c.(*net.TCPConn).CloseWrite()
			}
		}()
		c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(c)
		if err != nil || len(b) != 1<<20 {
			return fmt.Errorf("%d bytes, %w", len(b), err)
		}
		c.Close()
		l.Close()
	}
	return nil
}

// datagrams sends to a port that nobody listens on, and reads the error queue.
func datagrams() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1); err != nil {
		return err
	}
	to := &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Sendto(fd, []byte("x"), 0, to); err != nil {
		return err
	}
	var b, oob [512]byte
	if _, _, _, _, err := unix.Recvmsg(fd, b[:], oob[:], unix.MSG_ERRQUEUE); err != nil {
		return fmt.Errorf("error queue: %w", err)
	}
	// A ping socket may be refused, but not by the filter.
	for _, kind := range []struct{ family, typ, proto int }{
		{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP}, {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP},
		{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6}, {unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6},
	} {
		if fd, err := unix.Socket(kind.family, kind.typ|unix.SOCK_CLOEXEC, kind.proto); err == nil {
			unix.Close(fd)
		}
	}
	return nil
}
