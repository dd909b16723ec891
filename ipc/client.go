package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Refusal is the child's own account of what went wrong, for the user.
type Refusal struct{ Text string }

func (r *Refusal) Error() string { return r.Text }

// ErrNoAnswer means that the child has gone, or keeps silent, or does not
// speak the protocol.
var ErrNoAnswer = errors.New("ipc: no answer from the child")

// MakeTap asks the child at the other end of s, and checks its answer as far
// as it can be checked without looking at the TAP. ctx must have a deadline.
// The caller owns fd, which is close-on-exec; whether it is a TAP at all is
// for the caller to find out.
//
// Errors: a *[Refusal]; else they wrap [ErrNoAnswer] or say what was wrong with
// the answer.
func MakeTap(ctx context.Context, s Sockets, req *TapRequest) (fd int, reply *TapReply, err error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return -1, nil, errors.New("ipc: call without a deadline")
	}
	conn, err := net.FileConn(s.RPC)
	if err != nil {
		return -1, nil, fmt.Errorf("ipc: %w", err)
	}
	defer conn.Close()
	// The deadline must hold for a child that does not read, too.
	conn.SetDeadline(deadline)
	client := ttrpc.NewClient(conn)
	defer client.Close()
	reply, err = NewSlirpClient(client).MakeTap(ctx, req)
	if err != nil {
		return -1, nil, callError(err)
	}
	if err := reply.Check(req); err != nil {
		return -1, nil, err
	}
	// It was sent before the reply.
	fd, err = RecvFD(s.FD, time.Now())
	if err == io.EOF {
		err = fmt.Errorf("%w: it left without a TAP", ErrNoAnswer)
	}
	if err != nil {
		return -1, nil, err
	}
	return fd, reply, nil
}

// callError tells the child's words from the transport's.
func callError(err error) error {
	st, ok := status.FromError(err)
	if !ok || errors.Is(err, ttrpc.ErrClosed) || st.Code() != codes.Unknown {
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return &Refusal{Text: st.Message()}
}
