package framesock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

var socketTypes = map[string]int{"SEQPACKET": unix.SOCK_SEQPACKET, "DGRAM": unix.SOCK_DGRAM}

// end is a running Pair, and the other end of its socket.
type end struct {
	*Pair
	poller *poll.Poller
	peer   int
	got    chan []byte
	ended  chan error
}

func newEnd(t *testing.T, typ int) *end {
	t.Helper()
	e := newStopped(t, typ)
	go e.poller.Run()
	return e
}

// newStopped makes one whose poller is yet to be run.
func newStopped(t *testing.T, typ int) *end {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(fds[0], "pair", make([]byte, 64))
	if err != nil {
		t.Fatal(err)
	}
	poller, err := poll.New()
	if err != nil {
		t.Fatal(err)
	}
	e := &end{Pair: p, poller: poller, peer: fds[1], got: make(chan []byte, 1000), ended: make(chan error, 1)}
	if err := p.Start(poller, e); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		poller.Close()
		p.Close()
		unix.Close(e.peer)
	})
	return e
}

// Frames keeps what came.
func (e *end) Frames(frames [][]byte, _ link.Port) {
	for _, f := range frames {
		e.got <- bytes.Clone(f)
	}
}

func (e *end) Gone(link.Port) {}

func (e *end) Ended(why error) { e.ended <- why }

// write sends b from the other end.
func (e *end) write(t *testing.T, b []byte) {
	t.Helper()
	if err := unix.Sendto(e.peer, b, 0, nil); err != nil {
		t.Fatal(err)
	}
}

// want waits for a frame.
func (e *end) want(t *testing.T, want []byte) {
	t.Helper()
	select {
	case got := <-e.got:
		if !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, want %d", len(got), len(want))
		}
	case <-time.After(5 * time.Second):
		t.Fatalf("nothing came, want %d bytes", len(want))
	}
}

func frame(n int, number uint32) []byte {
	b := make([]byte, n)
	binary.BigEndian.PutUint32(b, number)
	return b
}

// pieces is b as a frame for Send.
func pieces(b []byte) []unix.Iovec {
	iov := []unix.Iovec{{Base: &b[0]}, {Base: &b[14]}}
	iov[0].SetLen(14)
	iov[1].SetLen(len(b) - 14)
	return iov
}

// Messages of no bytes and those that are larger than any frame are no frames,
// and no end.
func TestReceive(t *testing.T) {
	for name, typ := range socketTypes {
		t.Run(name, func(t *testing.T) {
			e := newEnd(t, typ)
			for range 2 * batch {
				e.write(t, nil)
			}
			e.write(t, make([]byte, MaxFrame+1))
			e.write(t, frame(MaxFrame, 1))
			e.write(t, nil)
			e.write(t, frame(14, 2))
			e.want(t, frame(MaxFrame, 1))
			e.want(t, frame(14, 2))
			if n := e.Stats().Oversize.Load(); n != 1 {
				t.Errorf("%d oversize frames, want 1", n)
			}
		})
	}
}

// A descriptor in a message does not become one of ours.
func TestNoDescriptors(t *testing.T) {
	e := newEnd(t, unix.SOCK_SEQPACKET)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	if err := unix.Sendmsg(e.peer, frame(14, 1), unix.UnixRights(pipe[1]), nil, 0); err != nil {
		t.Fatal(err)
	}
	unix.Close(pipe[1])
	e.want(t, frame(14, 1))
	p := []unix.PollFd{{Fd: int32(pipe[0])}}
	if n, err := unix.Poll(p, 5000); err != nil || n != 1 || p[0].Revents&unix.POLLHUP == 0 {
		t.Errorf("the pipe is still open: %d, %v", n, err)
	}
}

// What was sent comes in order and whole, also when it had to wait; what finds
// no room is dropped, and Send never waits.
func TestSend(t *testing.T) {
	for name, typ := range socketTypes {
		t.Run(name, func(t *testing.T) {
			e := newEnd(t, typ)
			var taken []uint32
			refused := 0
			for i := range uint32(9000) {
				if e.Send(pieces(frame(14+int(i)%1500+1, i))) {
					taken = append(taken, i)
				} else {
					refused++
				}
			}
			if len(taken) < 300 || refused < 1000 {
				t.Errorf("%d taken and %d refused", len(taken), refused)
			}
			if n := e.Stats().Full.Load(); n != uint64(refused) {
				t.Errorf("%d are counted, %d were refused", n, refused)
			}
			b := make([]byte, MaxFrame)
			for _, want := range taken {
				e.readable(t)
				n, err := unix.Read(e.peer, b)
				if err != nil || n != 14+int(want)%1500+1 || binary.BigEndian.Uint32(b) != want {
					t.Fatalf("%d bytes of frame %d, %v; want frame %d", n, binary.BigEndian.Uint32(b), err, want)
				}
			}
			// The way is free again.
			if !e.Send(pieces(frame(100, 7))) {
				t.Error("refused, though everything was read")
			}
			e.readable(t)
			if n, err := unix.Read(e.peer, b); n != 100 || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
}

// SendAll is no different, also where the kernel takes a part of it.
func TestSendAll(t *testing.T) {
	e := newEnd(t, unix.SOCK_SEQPACKET)
	var taken uint32
	for full := false; !full; {
		var frames [][]unix.Iovec
		for i := range uint32(40) {
			frames = append(frames, pieces(frame(1514, taken+i)))
		}
		n := e.SendAll(frames)
		taken += uint32(n)
		full = n < len(frames)
	}
	b := make([]byte, MaxFrame)
	for want := range taken {
		e.readable(t)
		if n, err := unix.Read(e.peer, b); err != nil || n != 1514 || binary.BigEndian.Uint32(b) != want {
			t.Fatalf("%d bytes of frame %d, %v; want frame %d", n, binary.BigEndian.Uint32(b), err, want)
		}
	}
	if n := e.Stats().Full.Load(); n == 0 || n > 40 {
		t.Errorf("%d frames are counted as dropped", n)
	}
}

func (e *end) readable(t *testing.T) {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(e.peer), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p, 5000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != 1 {
			t.Fatalf("nothing to read: %v", err)
		}
		return
	}
}

// The end is told, after all that came before it, whatever was left unread.
func TestEnd(t *testing.T) {
	for name, typ := range socketTypes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnd(t, typ)
			e.Send(pieces(frame(100, 1))) // which it will not read
			for i := range uint32(40) {
				e.write(t, frame(14, i))
			}
			unix.Close(e.peer)
			e.peer = -1
			select {
			case err := <-e.ended:
				if !errors.Is(err, link.ErrGone) {
					t.Errorf("%v, want %v", err, link.ErrGone)
				}
			case <-time.After(3 * probeInterval):
				t.Fatal("the end was not noticed")
			}
			if len(e.got) != 40 {
				t.Errorf("%d frames came, want 40", len(e.got))
			}
			if e.Send(pieces(frame(100, 2))) {
				t.Error("a frame was taken after the end")
			}
		})
	}
}

// An empty message that was sent is not the end.
func TestEmptyBeforeTheEnd(t *testing.T) {
	e := newStopped(t, unix.SOCK_SEQPACKET)
	const frames = 3 * batch
	e.write(t, nil)
	for i := range uint32(frames) {
		e.write(t, frame(14, i))
	}
	unix.Close(e.peer)
	e.peer = -1
	e.wantEndBehind(t, frames)
}

// wantEndBehind runs the poller, and wants the end behind so many frames.
func (e *end) wantEndBehind(t *testing.T, frames int) {
	t.Helper()
	go e.poller.Run()
	select {
	case err := <-e.ended:
		if !errors.Is(err, link.ErrGone) {
			t.Errorf("%v, want %v", err, link.ErrGone)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the end was not noticed")
	}
	if len(e.got) != frames {
		t.Errorf("%d frames came, want %d", len(e.got), frames)
	}
}

// Nor is anything lost where sending finds the end out first. With SOCK_DGRAM it
// is: the kernel throws away what has not been read.
func TestEndInSending(t *testing.T) {
	e := newStopped(t, unix.SOCK_SEQPACKET)
	const frames = 3 * batch
	for i := range uint32(frames) {
		e.write(t, frame(14, i))
	}
	unix.Close(e.peer)
	e.peer = -1
	if e.Send(pieces(frame(100, 1))) {
		t.Error("a frame was taken after the end")
	}
	e.wantEndBehind(t, frames)
}

// The poller can be closed also when frames come without end. That is not the
// socket's end.
func TestClose(t *testing.T) {
	e := newEnd(t, unix.SOCK_SEQPACKET)
	go func() {
		for unix.Sendto(e.peer, make([]byte, 14), unix.MSG_NOSIGNAL, nil) == nil {
		}
	}()
	go func() {
		for range e.got {
		}
	}()
	time.Sleep(10 * time.Millisecond)
	closed := make(chan error, 1)
	go func() { closed <- errors.Join(e.poller.Close(), e.Pair.Close()) }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it goes on")
	}
	if len(e.ended) != 0 {
		t.Errorf("ended: %v", <-e.ended)
	}
}

func TestCheck(t *testing.T) {
	open := func(domain, typ int) int {
		fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	for name, fd := range map[string]int{
		"a stream":                open(unix.AF_UNIX, unix.SOCK_STREAM),
		"UDP":                     open(unix.AF_INET, unix.SOCK_DGRAM),
		"SOCK_DGRAM alone":        open(unix.AF_UNIX, unix.SOCK_DGRAM),
		"SOCK_SEQPACKET alone":    open(unix.AF_UNIX, unix.SOCK_SEQPACKET),
		"a descriptor of nothing": 1 << 20,
	} {
		if err := Check(fd); err == nil {
			t.Errorf("%s is taken", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

// What goes into a queue comes out, whatever the sizes, up to the bounds.
func TestQueue(t *testing.T) {
	q, s := new(queue), new(sender)
	var in []uint32
	next := uint32(0)
	size := func(i uint32) int { return 20 + int(i*7919)%9000 }
	for round := range 3000 {
		for range round % 50 {
			if q.push(pieces(frame(size(next), next))) {
				in = append(in, next)
			}
			next++
		}
		n := min(round%17, q.fill(s))
		for i := range n {
			b := unsafe.Slice(s.iov[i].Base, s.iov[i].Len)
			if got := binary.BigEndian.Uint32(b); got != in[i] || len(b) != size(got) {
				t.Fatalf("round %d: frame %d of %d bytes, want %d of %d", round, got, len(b), in[i], size(in[i]))
			}
		}
		q.drop(n)
		in = in[n:]
	}
	if q.chunks != maxChunks || shared.Load() != maxChunks-ownChunks {
		t.Errorf("%d chunks, %d of them shared", q.chunks, shared.Load())
	}
	for len(in) > 0 {
		n := q.fill(s)
		if n == 0 {
			t.Fatalf("%d frames are lost", len(in))
		}
		q.drop(n)
		in = in[n:]
	}
	if !q.empty() || q.chunks != 0 || shared.Load() != 0 {
		t.Errorf("%d chunks are left, %d shared", q.chunks, shared.Load())
	}
}

// However many peers are stuck, each other has room of its own.
func TestQueueShare(t *testing.T) {
	var stuck [10]queue
	fill := func(q *queue) (n int) {
		for q.push(pieces(frame(1514, 0))) {
			n++
		}
		return n
	}
	total := 0
	for i := range stuck {
		fill(&stuck[i])
		total += stuck[i].chunks
	}
	if want := sharedChunks + ownChunks*len(stuck); total != want {
		t.Errorf("%d chunks in all, want %d", total, want)
	}
	var q queue
	if n := fill(&q); n < ownChunks*chunkSize/1600 {
		t.Errorf("room for %d frames", n)
	}
	q.clear()
	for i := range stuck {
		stuck[i].clear()
	}
	if shared.Load() != 0 {
		t.Errorf("%d chunks are shared", shared.Load())
	}
}

// A frame costs no allocation.
func TestAllocations(t *testing.T) {
	e := newEnd(t, unix.SOCK_SEQPACKET)
	f := pieces(frame(1514, 1))
	b := make([]byte, MaxFrame)
	if n := testing.AllocsPerRun(100, func() {
		e.Send(f)
		unix.Read(e.peer, b)
	}); n > 0 {
		t.Errorf("%v allocations for a frame, want 0", n)
	}
}
