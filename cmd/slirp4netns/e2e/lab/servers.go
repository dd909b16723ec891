package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
)

// Ports of the servers. Echo, discard and chargen are those of RFC 862, 863
// and 864; chargen sends [Stream] until the client goes away.
const (
	HTTPPort     = 80   // inet
	HostHTTPPort = 8000 // host, on 127.0.0.1 and ::1
	EchoPort     = 7    // TCP and UDP, inet and host loopback
	DiscardPort  = 9    // TCP, inet and host loopback
	ChargenPort  = 19   // TCP, inet and host loopback
	DNSPort      = 53   // TCP and UDP, inet
)

// Loopback addresses of the host, where the servers of the host listen.
var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)

// startServers starts all servers. They live as long as the program.
func startServers() error {
	if err := Inet.Do(func() error {
		if err := serve(InetPage, HTTPPort, InetAddr4, InetAddr6); err != nil {
			return err
		}
		return serveDNS(InetAddr4, InetAddr6)
	}); err != nil {
		return fmt.Errorf("servers of inet: %w", err)
	}
	if err := serve(HostPage, HostHTTPPort, loopback4, loopback6); err != nil {
		return fmt.Errorf("servers of the host: %w", err)
	}
	return nil
}

// serve starts the servers that inet and the host both have.
func serve(page string, httpPort uint16, addrs ...netip.Addr) error {
	for _, a := range addrs {
		l, err := listenTCP(a, httpPort)
		if err != nil {
			return err
		}
		go http.Serve(l, Handler(page))
		for port, handle := range map[uint16]func(*net.TCPConn){
			EchoPort:    echo,
			DiscardPort: discard,
			ChargenPort: chargen,
		} {
			l, err := listenTCP(a, port)
			if err != nil {
				return err
			}
			go accept(l, handle)
		}
		if err := serveUDPEcho(a); err != nil {
			return err
		}
	}
	return nil
}

// listenTCP listens in the calling thread's network namespace.
func listenTCP(addr netip.Addr, port uint16) (*net.TCPListener, error) {
	return net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
}

// accept runs handle for every connection, and closes it.
func accept(l net.Listener, handle func(*net.TCPConn)) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the client has already gone
		}
		go func() {
			defer c.Close()
			handle(c.(*net.TCPConn))
		}()
	}
}

// echo returns what comes, half-closing when the client does.
func echo(c *net.TCPConn) { io.Copy(c, c) }

// discard reads to the end.
func discard(c *net.TCPConn) { io.Copy(io.Discard, c) }

// chargen writes until the client has enough.
func chargen(c *net.TCPConn) { io.Copy(c, Stream(1<<62)) }

// serveUDPEcho returns datagrams of any size to where they came from.
func serveUDPEcho(addr netip.Addr) error {
	lc := net.ListenConfig{}
	pc, err := lc.ListenPacket(context.Background(), "udp", netip.AddrPortFrom(addr, EchoPort).String())
	if err != nil {
		return err
	}
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := pc.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				pc.WriteTo(buf[:n], from)
			}
		}
	}()
	return nil
}
