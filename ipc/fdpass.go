package ipc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fdMessage is the one message of the second socket. SCM_RIGHTS needs data to
// ride on.
const fdMessage = "tap"

// SendFD sends the descriptor fd over sock, a SOCK_SEQPACKET socket.
func SendFD(sock *os.File, fd int) error {
	for {
		err := unix.Sendmsg(int(sock.Fd()), []byte(fdMessage), unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL)
		if err == nil || err != unix.EINTR {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

// RecvFD receives what SendFD sent, and nothing else: a message of another
// length, or with no or several descriptors, or truncated, is an error, and
// whatever came with it is closed. io.EOF means that the peer has gone. The
// caller owns the descriptor, which is close-on-exec.
func RecvFD(sock *os.File, deadline time.Time) (int, error) {
	if err := waitReadable(int(sock.Fd()), deadline); err != nil {
		return -1, err
	}
	// Room for more than is right, to tell "too many" from "truncated".
	data := make([]byte, len(fdMessage)+1)
	oob := make([]byte, unix.CmsgSpace(8*4))
	n, oobn, flags, _, err := unix.Recvmsg(int(sock.Fd()), data, oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return -1, os.NewSyscallError("recvmsg", err)
	}
	fds, err := rights(oob[:oobn])
	switch {
	case err != nil:
	case flags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0:
		err = errors.New("ipc: truncated message with the TAP")
	case n == 0 && oobn == 0:
		err = io.EOF
	case string(data[:n]) != fdMessage:
		err = fmt.Errorf("ipc: message with the TAP is %q, want %q", data[:n], fdMessage)
	case len(fds) != 1:
		err = fmt.Errorf("ipc: %d file descriptors, want 1", len(fds))
	default:
		return fds[0], nil
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	return -1, err
}

// rights takes the descriptors out of control messages. With an error it
// returns those that it found as well.
func rights(oob []byte) (fds []int, err error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("ipc: control message: %w", err)
	}
	for i := range msgs {
		h := msgs[i].Header
		if h.Level != unix.SOL_SOCKET || h.Type != unix.SCM_RIGHTS {
			err = fmt.Errorf("ipc: control message of level %d, type %d", h.Level, h.Type)
			continue
		}
		got, perr := unix.ParseUnixRights(&msgs[i])
		if perr != nil {
			err = fmt.Errorf("ipc: SCM_RIGHTS: %w", perr)
			continue
		}
		fds = append(fds, got...)
	}
	return fds, err
}

// waitReadable blocks until fd has something to read, or an end.
func waitReadable(fd int, deadline time.Time) error {
	for {
		left := max(time.Until(deadline), 0)
		// One more, as the division rounds down.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left/time.Millisecond)+1)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("poll", err)
		case n > 0:
			return nil
		case left == 0:
			return fmt.Errorf("ipc: no file descriptor: %w", os.ErrDeadlineExceeded)
		}
	}
}
