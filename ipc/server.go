package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
)

// Maker makes the TAP for one request that has been checked. Serve closes fd
// once it is sent.
type Maker func(req *TapRequest) (fd int, reply *TapReply, err error)

// Serve answers the one request that comes over s, and returns when the parent
// has hung up. A second request is refused.
func Serve(s Sockets, mk Maker) error {
	conn, err := net.FileConn(s.RPC)
	if err != nil {
		return fmt.Errorf("ipc: %w", err)
	}
	srv, err := ttrpc.NewServer()
	if err != nil {
		return fmt.Errorf("ipc: %w", err)
	}
	RegisterSlirpService(srv, &service{sockets: s, mk: mk})
	l := newListener(conn)
	if err := srv.Serve(context.Background(), l); !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("ipc: %w", err)
	}
	return nil
}

type service struct {
	sockets Sockets
	mk      Maker
	used    atomic.Bool
}

// MakeTap implements SlirpService.
func (s *service) MakeTap(_ context.Context, req *TapRequest) (*TapReply, error) {
	if s.used.Swap(true) {
		return nil, errors.New("ipc: second request")
	}
	if err := req.Check(); err != nil {
		return nil, err
	}
	fd, reply, err := s.mk(req)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := SendFD(s.sockets.FD, fd); err != nil {
		return nil, fmt.Errorf("ipc: %w", err)
	}
	reply.Version = Version
	return reply, nil
}

// listener is a net.Listener for one connection that is there already. Its
// second Accept fails when that connection has been closed.
type listener struct {
	conn chan net.Conn
	done chan struct{}
	addr net.Addr
}

func newListener(c net.Conn) *listener {
	l := &listener{conn: make(chan net.Conn, 1), done: make(chan struct{}), addr: c.LocalAddr()}
	l.conn <- &watchedConn{Conn: c, closed: sync.OnceFunc(func() { close(l.done) })}
	return l
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { return nil }
func (l *listener) Addr() net.Addr { return l.addr }

// watchedConn tells when it is closed.
type watchedConn struct {
	net.Conn
	closed func()
}

func (c *watchedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}
