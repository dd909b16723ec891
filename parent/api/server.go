package api

import (
	"container/list"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	// patience is how long a client may take to send its request, and how long
	// to take its reply.
	patience = 5 * time.Second
	// grace is how long a client has at least, however many others wait.
	grace = time.Second
	// maxRequest is the size in bytes from which on a request is too large.
	maxRequest = 4096
)

// Server answers requests.
type Server struct {
	backend Backend
	log     io.Writer
	max     int // clients at once

	mu      sync.Mutex
	clients *list.List // guarded by mu; of *client, oldest first
	left    *sync.Cond // on mu; a client has left, or the Server is to end
	ending  bool       // guarded by mu

	// busy is held while a request is done, which never waits for a client:
	// one at a time, so that however many there are the data plane, which runs
	// on one processor with them, has its turn after each slice of time.
	busy sync.Mutex

	all sync.WaitGroup
}

// client is one connection.
type client struct {
	conn  *net.UnixConn
	since time.Time

	mu      sync.Mutex
	hurried bool      // guarded by mu; others wait for its place
	reply   time.Time // guarded by mu; when it began to be sent; zero: not yet
}

// hurry has the client leave soon: what it has sent so far is its request.
func (c *client) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hurried = true
	now := time.Now()
	c.conn.SetReadDeadline(now)
	c.conn.SetWriteDeadline(now.Add(lastWords))
}

// replying is called before the reply is sent, and says how long it may take.
func (c *client) replying() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reply = time.Now()
	if !c.hurried {
		c.conn.SetWriteDeadline(c.reply.Add(patience))
	} else {
		c.conn.SetWriteDeadline(c.reply.Add(lastWords))
	}
}

// deaf tells whether it has not taken its reply for a while.
func (c *client) deaf() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.reply.IsZero() && time.Since(c.reply) > lastWords
}

// NewServer makes a Server that asks backend. Requests are noted on log. At
// most max clients are served at once; further ones wait in the backlog.
func NewServer(backend Backend, log io.Writer, max int) *Server {
	s := &Server{backend: backend, log: log, max: max, clients: list.New()}
	s.left = sync.NewCond(&s.mu)
	return s
}

// Serve accepts clients until the socket is closed (nil) or fails. When it
// returns no client is left.
func (s *Server) Serve(socket *Socket) error {
	defer s.end()
	for {
		conn, err := socket.listener.AcceptUnix()
		switch {
		case err == nil:
			c := s.enter(conn)
			if c == nil {
				conn.Close()
				continue
			}
			go func() {
				defer s.leave(c)
				s.serve(c.Value.(*client))
			}()
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			// No descriptor or memory is left, or the client is gone.
			time.Sleep(acceptPause)
		}
	}
}

// acceptPause is how long accepting rests after an error.
const acceptPause = 50 * time.Millisecond

// Stop has Serve return, however many clients there are. The socket is closed
// before.
func (s *Server) Stop() {
	s.mu.Lock()
	s.ending = true
	s.left.Broadcast()
	s.mu.Unlock()
}

// enter waits for room for one more client. While there is none, those that do
// not read are cut short, and the oldest client if it has had its grace. It
// returns nil when the Server is to end.
func (s *Server) enter(conn *net.UnixConn) *list.Element {
	now := time.Now()
	conn.SetReadDeadline(now.Add(patience))
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.clients.Len() >= s.max && !s.ending {
		for el := s.clients.Front(); el != nil; el = el.Next() {
			if c := el.Value.(*client); c.deaf() {
				c.conn.SetDeadline(now)
			}
		}
		wait := lastWords // until others may be found not to read
		oldest := s.clients.Front().Value.(*client)
		if more := time.Until(oldest.since.Add(grace)); more > 0 {
			wait = min(wait, more)
		} else {
			oldest.hurry()
		}
		t := time.AfterFunc(wait, func() { s.mu.Lock(); s.left.Broadcast(); s.mu.Unlock() })
		s.left.Wait()
		t.Stop()
	}
	if s.ending {
		return nil
	}
	s.all.Add(1)
	return s.clients.PushBack(&client{conn: conn, since: now})
}

// leave makes room.
func (s *Server) leave(c *list.Element) {
	c.Value.(*client).conn.Close()
	s.mu.Lock()
	s.clients.Remove(c)
	s.left.Broadcast()
	s.mu.Unlock()
	s.all.Done()
}

// lastWords is how long a reply may take when the Server ends, or when others
// wait for the client's place.
const lastWords = 100 * time.Millisecond

// end cuts all clients short and waits for them.
func (s *Server) end() {
	s.each(func(c *net.UnixConn) { c.SetReadDeadline(time.Now()) })
	t := time.AfterFunc(lastWords, func() { s.each(func(c *net.UnixConn) { c.Close() }) })
	defer t.Stop()
	s.all.Wait()
}

// each calls f for all clients.
func (s *Server) each(f func(*net.UnixConn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for el := s.clients.Front(); el != nil; el = el.Next() {
		f(el.Value.(*client).conn)
	}
}

// serve is one client: one request, one write, end of file.
func (s *Server) serve(c *client) {
	conn := c.conn
	request, v := read(conn)
	s.busy.Lock()
	reply := s.answer(request, v)
	s.busy.Unlock()
	c.replying()
	if _, err := conn.Write(reply); err != nil {
		return
	}
	conn.CloseWrite()
	s.note(request)
	// What the client still sends, a newline for instance, must not meet a
	// closed socket: it would lose the reply over that.
	var rest [512]byte
	for {
		if _, err := conn.Read(rest[:]); err != nil {
			return
		}
	}
}

// read reads until there is a whole JSON value, or something that will never
// be one, or the end of the client's patience or ours.
//
// slirp4netns: the C program takes what the first read(2) returns, so that a
// client must not write twice.
func read(conn io.Reader) (request []byte, v any) {
	buf := make([]byte, maxRequest)
	n := 0
	for {
		m, err := conn.Read(buf[n:])
		n += m
		v, more := parse(buf[:n])
		if n == maxRequest || !more || err != nil {
			return buf[:n], v
		}
	}
}

// note writes what the C program does, on one line whatever the client sent.
func (s *Server) note(request []byte) {
	printable := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(string(request)))
	fmt.Fprintf(s.log, "apifd event\napi_handler: got request: %s\n", printable)
}
