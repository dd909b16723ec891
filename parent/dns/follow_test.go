package dns

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// become makes others the resolvers, as a file that has changed does.
func (r *Resolvers) become(list ...netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list, r.checked = list, r.now().Add(time.Hour)
}

// soon is how long a change may take, strictly: a second.
const soon = time.Second

// A query that waits for who does not answer goes to the resolvers that there
// are then, whether others were left to ask or not.
func TestRelayFollows(t *testing.T) {
	silent, other, b := newResolver(t, "silent"), newResolver(t, "other"), newResolver(t, "b")
	silent.set(-1)
	other.set(-1)
	for _, list := range [][]*resolver{{silent}, {silent, other}} {
		r := newRig(t, 0, list...)
		r.ask(1)
		r.silence(50 * time.Millisecond)
		r.cfg.Resolvers.become(b.addr)
		r.want(answer{id: 1, text: "b"}, soon)
		r.ask(2)
		r.want(answer{id: 2, text: "b"}, quick)
		r.silence(2 * recheck)
	}
	if n := b.count(); n != 4 {
		t.Errorf("the new resolver was asked %d times, want 4", n)
	}
}

// Who was asked before may still be the first to answer, and the guest has but
// one answer.
func TestRelayFollowsLateAnswer(t *testing.T) {
	slow, silent := newResolver(t, "slow"), newResolver(t, "silent")
	slow.set(2 * recheck)
	silent.set(-1)
	r := newRig(t, 0, slow)
	r.ask(1)
	r.cfg.Resolvers.become(silent.addr)
	r.want(answer{id: 1, text: "slow"}, soon)
	silent.set(0)
	r.silence(2 * recheck)
}

// A change to no resolver at all leaves things as they are.
func TestRelayFollowsNobody(t *testing.T) {
	slow := newResolver(t, "slow")
	slow.set(3 * recheck)
	r := newRig(t, 0, slow)
	r.ask(1)
	r.cfg.Resolvers.become()
	r.want(answer{id: 1, text: "slow"}, 2*soon)
}

// The same for a connection that waits to be accepted.
func TestStreamsFollow(t *testing.T) {
	s := newStreams(t, 0, nil, fullListener(t))
	fd, dial, errno := s.Connect()
	if errno != 0 {
		t.Fatal(errno)
	}
	good := addrOf(listener(t))
	time.AfterFunc(50*time.Millisecond, func() { s.cfg.Resolvers.become(good) })
	start := time.Now()
	if errno := dial(t.Context()); errno != 0 {
		unix.Close(fd)
		t.Fatalf("dial: %v", errno)
	}
	if took := time.Since(start); took > soon {
		t.Errorf("it took %v", took)
	}
	converse(t, fd, message(1, false, 0, "x"), message(1, false, 0, "x"))
}
