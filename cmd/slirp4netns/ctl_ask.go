package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// maxReply is how many bytes of a reply are read. The longest one, of
// 65536 flows, has a third of that.
const maxReply = 64 << 20

// ctlAsk sends a request to a control socket and returns the reply.
func ctlAsk(socket string, request []byte) ([]byte, error) {
	conn, err := net.DialTimeout("unix", socket, ctlTimeout)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(ctlTimeout))
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	conn.(*net.UnixConn).CloseWrite()
	return io.ReadAll(io.LimitReader(conn, maxReply))
}

// ctlExplain says what an error of ctlAsk comes to.
func ctlExplain(socket string, err error) error {
	var errno syscall.Errno
	errors.As(err, &errno)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s: no reply within %v: it may not be a control socket of slirp4netns", socket, ctlTimeout)
	case errno == syscall.ENOENT:
		return fmt.Errorf("%s: %w: slirp4netns has ended, or was started without this --api-socket", socket, errno)
	case errno == syscall.ECONNREFUSED:
		return fmt.Errorf("%s: %w: nobody listens there; slirp4netns was killed, or it is no socket", socket, errno)
	case errno == syscall.EACCES:
		return fmt.Errorf("%s: %w: it is another user's slirp4netns (--api-socket-mode)", socket, errno)
	case errno == syscall.EPROTOTYPE:
		return fmt.Errorf("%s: %w: it is not a control socket, but perhaps that of --target-type=bess", socket, errno)
	case errno == syscall.EINVAL:
		return fmt.Errorf("%s: the path is too long for a socket (%d bytes, at most 107)", socket, len(socket))
	}
	return err
}

// noControlSocket is the error of a reply that is none of slirp4netns.
func noControlSocket(socket string, reply []byte) error {
	const shown = 60
	more := ""
	if len(reply) > shown {
		reply, more = reply[:shown], "…"
	}
	if len(reply) == 0 {
		return fmt.Errorf("%s: the connection was closed without a reply: it may not be a control socket of slirp4netns", socket)
	}
	return fmt.Errorf("%s: it is not a control socket of slirp4netns: it replied %q%s", socket, reply, more)
}
