package ipc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// request is one that Check accepts.
func request() *TapRequest {
	return &TapRequest{
		Version: Version, Name: "tap0", Offloads: 7,
		Configuration: &Configuration{
			Mtu:       1500,
			Addresses: []*Prefix{{Address: []byte{10, 0, 2, 100}, Bits: 24}},
			Routes:    []*Route{{Destination: &Prefix{Address: []byte{0, 0, 0, 0}}, Gateway: []byte{10, 0, 2, 2}}},
		},
	}
}

// reply is an answer to r that Check accepts.
func reply(r *TapRequest) *TapReply {
	c := proto.Clone(r.Configuration).(*Configuration)
	c.Mac = []byte{2, 0, 0, 0, 0, 1}
	return &TapReply{Version: Version, Name: r.Name, Made: true, EndsWithNamespace: true,
		VnetHeaderLength: 10, Offloads: r.Offloads, Configuration: c}
}

// null is a Maker whose TAP is /dev/null.
func null(req *TapRequest) (int, *TapReply, error) {
	fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	return fd, reply(req), err
}

// call runs MakeTap against serve, which gets the child's sockets.
func call(t *testing.T, req *TapRequest, serve func(Sockets)) (fd int, r *TapReply, err error) {
	t.Helper()
	ours, theirs, err := Pairs()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(theirs)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	fd, r, err = MakeTap(ctx, ours, req)
	ours.Close()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("the child did not end with the connection")
	}
	theirs.Close()
	return fd, r, err
}

// serveWith is an honest child around a Maker.
func serveWith(t *testing.T, mk Maker) func(Sockets) {
	return func(s Sockets) {
		if err := Serve(s, mk); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

func TestMakeTap(t *testing.T) {
	before := fds(t)
	fd, got, err := call(t, request(), serveWith(t, null))
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, reply(request())) {
		t.Errorf("reply %v", got)
	}
	unix.Close(fd)
	if after := fds(t); after > before+1 { // the runtime's epoll instance may be new
		t.Errorf("%d descriptors were left open", after-before)
	}
}

func TestMakeTapRefused(t *testing.T) {
	_, _, err := call(t, request(), serveWith(t, func(*TapRequest) (int, *TapReply, error) {
		return -1, nil, errors.New("ioctl(TUNSETIFF): Device or resource busy")
	}))
	var r *Refusal
	if !errors.As(err, &r) || r.Text != "ioctl(TUNSETIFF): Device or resource busy" {
		t.Errorf("%v, want the child's words", err)
	}
}

// TestSecondRequest is a parent that asks twice.
func TestSecondRequest(t *testing.T) {
	s := &service{mk: null}
	a, b, err := pair(unix.SOCK_SEQPACKET, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	s.sockets.FD = a
	if _, err := s.MakeTap(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.MakeTap(t.Context(), request()); err == nil {
		t.Error("a second request was served")
	}
}

// TestHostileChild is everything that a child may do wrong.
func TestHostileChild(t *testing.T) {
	unknown := func(m proto.Message) {
		m.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
	}
	lie := func(change func(*TapReply)) func(Sockets) {
		return func(s Sockets) {
			Serve(s, func(req *TapRequest) (int, *TapReply, error) {
				fd, r, err := null(req)
				change(r)
				return fd, r, err
			})
		}
	}
	for _, c := range []struct {
		name   string
		child  func(Sockets)
		want   string
		silent bool // ErrNoAnswer
	}{
		{"ends", func(s Sockets) { s.Close() }, "", true},
		{"junk", func(s Sockets) { s.RPC.WriteString(strings.Repeat("junk", 1000)); s.Close() }, "", true},
		{"huge length", func(s Sockets) { s.RPC.Write([]byte{0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1, 2, 0}); s.Close() }, "", true},
		{"a message that never ends", func(s Sockets) {
			s.RPC.Write([]byte{0, 0, 0x10, 0, 0, 0, 0, 1, 2, 0})
			s.RPC.Read(make([]byte, 1000))
			s.RPC.Read(make([]byte, 1000))
			s.Close()
		}, "", true},
		{"no reply", func(s Sockets) {
			for b := make([]byte, 1000); ; {
				if _, err := s.RPC.Read(b); err != nil {
					s.Close()
					return
				}
			}
		}, "", true},
		{"other name", lie(func(r *TapReply) { r.Name = "tap1" }), `TAP "tap1"`, false},
		{"other MTU", lie(func(r *TapReply) { r.Configuration.Mtu++ }), "asked for", false},
		{"short MAC", lie(func(r *TapReply) { r.Configuration.Mac = r.Configuration.Mac[:5] }), "MAC address of 5 bytes", false},
		{"no configuration", lie(func(r *TapReply) { r.Configuration = nil }), "without being asked", false},
		{"one address more", lie(func(r *TapReply) {
			r.Configuration.Addresses = append(r.Configuration.Addresses, r.Configuration.Addresses...)
		}), "asked for", false},
		{"offloads that nobody wants", lie(func(r *TapReply) { r.Offloads = 0xff }), "nobody asked for", false},
		{"unknown field", lie(func(r *TapReply) { unknown(r) }), "unknown fields in TapReply", false},
		{"unknown field inside", lie(func(r *TapReply) { unknown(r.Configuration.Routes[0].Destination) }), "unknown fields in Prefix", false},
		{"another's that ends", lie(func(r *TapReply) { r.Made = false }), "cannot end", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := fds(t)
			start := time.Now()
			fd, _, err := call(t, request(), c.child)
			if err == nil {
				unix.Close(fd)
				t.Fatal("was believed")
			}
			if !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrNoAnswer) != c.silent {
				t.Errorf("error %v (no answer: %v), want %q", err, errors.Is(err, ErrNoAnswer), c.want)
			}
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("took %v", d)
			}
			if after := fds(t); after > before {
				t.Errorf("%d descriptors were left open", after-before)
			}
		})
	}
}

// TestReplyWithoutTAP is a right answer with nothing beside it.
func TestReplyWithoutTAP(t *testing.T) {
	_, _, err := call(t, request(), func(s Sockets) {
		// The descriptor goes into the void.
		a, b, err := pair(unix.SOCK_SEQPACKET, "void")
		if err != nil {
			t.Error(err)
			return
		}
		defer a.Close()
		defer b.Close()
		Serve(Sockets{RPC: s.RPC, FD: a}, null)
	})
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// TestReplyEndsUnasked is a TAP that was moved in although that was not wanted.
func TestReplyEndsUnasked(t *testing.T) {
	req := request()
	req.KeepNamespace = true
	if err := reply(req).Check(req); err == nil || !strings.Contains(err.Error(), "was not asked for") {
		t.Errorf("error %v", err)
	}
}

func TestVersion(t *testing.T) {
	req := request()
	req.Version++
	_, _, err := call(t, req, serveWith(t, null))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("protocol version %d, want %d", Version+1, Version)) {
		t.Errorf("newer parent: %v", err)
	}
	r := reply(request())
	r.Version = 0
	if err := r.Check(request()); err == nil || !strings.Contains(err.Error(), "protocol version 0") {
		t.Errorf("older child: %v", err)
	}
}
