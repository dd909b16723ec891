package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// serveBytes sends back what comes on so many ports of 127.0.0.1, for ever: one
// thread for all connections.
func serveBytes(port, ports int) error {
	events, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	listening := make(map[int]bool)
	for i := range ports {
		l, err := listen("127.0.0.1", port+i)
		if err != nil {
			return err
		}
		if err := watch(events, l); err != nil {
			return err
		}
		listening[l] = true
	}
	go func() {
		runtime.LockOSThread()
		ready := make([]unix.EpollEvent, 64)
		for {
			n, _ := unix.EpollWait(events, ready, -1)
			for i := range max(n, 0) {
				fd := int(ready[i].Fd)
				if !listening[fd] {
					if !sendBack(fd) {
						unix.Close(fd)
					}
				} else if fd, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC); err == nil {
					unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
					watch(events, fd)
				}
			}
		}
	}()
	return nil
}

// serveOnly is the argument with which the benchmark is a byte server on
// holdPort, with descriptors of its own: 10,000 connections have two ends.
const serveOnly = "-serve"

// serveAlone is that server.
func serveAlone() {
	if err := serveBytes(holdPort, 1); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

// startAlone starts it.
func (b *bench) startAlone() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := lab.Command(ctx, 0, exe, serveOnly)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		cancel()
		return err
	}
	b.p.Cleanup(func() { cancel(); cmd.Wait() })
	return await(lab.Host, "127.0.0.1", holdPort)
}

// sendBack serves a connection that has something, until it has an end.
func sendBack(fd int) bool {
	var buf [1024]byte
	n, err := unix.Read(fd, buf[:])
	if err == unix.EINTR {
		return true
	}
	if err != nil || n == 0 {
		return false
	}
	_, err = unix.Write(fd, buf[:n])
	return err == nil
}

// watch has a descriptor's input reported.
func watch(events, fd int) error {
	return unix.EpollCtl(events, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// listen listens for TCP on an address.
func listen(addr string, port int) (int, error) {
	l, err := tcpSocket()
	if err != nil {
		return -1, err
	}
	at := &unix.SockaddrInet4{Port: port}
	copy(at.Addr[:], net.ParseIP(addr).To4())
	err = unix.SetsockoptInt(l, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(l, at)
	}
	if err == nil {
		err = unix.Listen(l, 4096)
	}
	if err != nil {
		unix.Close(l)
		return -1, err
	}
	return l, nil
}

// same is the answer of an echo server.
func same(datagram []byte) []byte { return datagram }

// serveDatagrams answers what comes to a UDP port of a namespace, for as long
// as the program runs: one thread that blocks. What is given to answer has room
// behind it.
func serveDatagrams(ns *lab.Namespace, addr string, port int, answer func(datagram []byte) []byte) error {
	var fd int
	err := ns.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		at := &unix.SockaddrInet4{Port: port}
		copy(at.Addr[:], net.ParseIP(addr).To4())
		return unix.Bind(fd, at)
	})
	if err != nil {
		return err
	}
	go func() {
		runtime.LockOSThread()
		buf := make([]byte, 65536)
		for {
			if n, from, err := unix.Recvfrom(fd, buf, 0); err == nil {
				unix.Sendto(fd, answer(buf[:n]), 0, from)
			}
		}
	}()
	return nil
}

// serveStream sends to whoever connects, for ever. The lab's chargen computes
// what it sends, and that would be measured, too.
func serveStream(port int) error {
	l, err := listen("127.0.0.1", port)
	if err != nil {
		return err
	}
	go func() {
		for {
			fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
			if err != nil {
				time.Sleep(time.Millisecond)
				continue
			}
			go func() {
				defer unix.Close(fd)
				writeForEver(fd)
			}()
		}
	}()
	return nil
}

// writeForEver writes until the other end has gone.
func writeForEver(fd int) {
	block := make([]byte, 256<<10)
	for {
		if _, err := unix.Write(fd, block); err != nil && err != unix.EINTR && err != unix.EAGAIN {
			return
		}
	}
}

// tcpSocket is a blocking TCP socket that sends at once.
func tcpSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
