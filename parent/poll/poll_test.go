package poll

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

type handlerFunc func(uint32)

func (f handlerFunc) HandleEvents(events uint32) { f(events) }

func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// running is a Poller whose Run has been called; closed ends it.
func running(t *testing.T) (p *Poller, closed func()) {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run() }()
	return p, func() {
		t.Helper()
		p.Close()
		if err := <-ended; err != nil {
			t.Errorf("Run after Close: %v", err)
		}
	}
}

func TestPollerDelivers(t *testing.T) {
	p, closed := running(t)
	a, b := pair(t)
	got := make(chan uint32, 16)
	tok, err := p.Add(a, In|RdHUp, handlerFunc(func(e uint32) { got <- e }))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // each write is an edge of its own
		unix.Write(b, []byte("x"))
		select {
		case e := <-got:
			if e&In == 0 {
				t.Errorf("write %d: events %#x, want In", i, e)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("write %d: no event", i)
		}
	}
	p.Remove(a, tok)
	p.Remove(a, tok) // twice is harmless
	unix.Write(b, []byte("x"))
	select {
	case e := <-got:
		t.Errorf("events %#x after Remove", e)
	case <-time.After(100 * time.Millisecond):
	}
	closed()
}

// An event for a descriptor whose number is used again goes nowhere.
func TestPollerGenerations(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	a, _ := pair(t)
	old, err := p.Add(a, In, handlerFunc(func(uint32) {}))
	if err != nil {
		t.Fatal(err)
	}
	p.Remove(a, old)
	if _, err := p.Add(a, In, handlerFunc(func(uint32) {})); err != nil {
		t.Fatal(err)
	}
	stale := unix.EpollEvent{Fd: old.index - 1, Pad: old.gen}
	if p.handler(&stale) != nil {
		t.Error("a stale event found a handler")
	}
}

func TestWorkerRunsEachScheduledTask(t *testing.T) {
	w := NewWorker()
	done := make(chan struct{})
	go func() { w.Run(); close(done) }()
	ran := make(chan int, 100)
	var tasks [10]Task
	for i := range tasks {
		tasks[i].Init(func() { ran <- i })
	}
	for round := range 3 {
		for i := range tasks {
			w.Schedule(&tasks[i])
		}
		for i := range tasks {
			select {
			case got := <-ran:
				if got != i {
					t.Fatalf("round %d: task %d ran, want %d", round, got, i)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("round %d: task %d did not run", round, i)
			}
		}
	}
	w.Close()
	<-done
	w.Schedule(&tasks[0]) // after Close it is dropped
}

// A Level registration tells again what was not dealt with, and Modify changes
// what it tells.
func TestPollerLevel(t *testing.T) {
	p, closed := running(t)
	a, b := pair(t)
	got := make(chan uint32)
	next := func() uint32 {
		t.Helper()
		select {
		case e := <-got:
			return e
		case <-time.After(5 * time.Second):
			t.Fatal("no event")
			return 0
		}
	}
	tok, err := p.Add(a, In|Level, handlerFunc(func(e uint32) { got <- e }))
	if err != nil {
		t.Fatal(err)
	}
	unix.Write(b, []byte("x"))
	for range 3 {
		if e := next(); e != In {
			t.Errorf("events %#x, want In", e)
		}
	}
	if err := p.Modify(a, tok, Out|Level); err != nil {
		t.Error(err)
	}
	next() // perhaps one from before
	for range 3 {
		if e := next(); e != Out {
			t.Errorf("events %#x, want Out", e)
		}
	}
	p.Remove(a, tok)
	if err := p.Modify(a, tok, In); err != nil {
		t.Errorf("Modify after Remove: %v", err)
	}
	go func() {
		for range got { // one may be on its way
		}
	}()
	closed()
}

// What is scheduled while a Worker is held is run by Release, up to a point;
// the Worker does the rest.
func TestWorkerHold(t *testing.T) {
	w := NewWorker()
	if w.Hold() {
		t.Fatal("a Worker that does not run is held")
	}
	done := make(chan struct{})
	go func() { w.Run(); close(done) }()
	hold := func() {
		t.Helper()
		for start := time.Now(); !w.Hold(); time.Sleep(time.Millisecond) {
			if time.Since(start) > 5*time.Second {
				t.Fatal("the Worker is never idle")
			}
		}
	}
	hold()
	if w.Hold() {
		t.Error("held twice")
	}
	ran := make(chan int, 100)
	tasks := make([]Task, 2*inlineMost)
	for i := range tasks {
		tasks[i].Init(func() { ran <- i })
	}
	w.Schedule(&tasks[0])
	w.Schedule(&tasks[1])
	if len(ran) != 0 {
		t.Error("a task ran before Release")
	}
	w.Release()
	if len(ran) != 2 || <-ran != 0 || <-ran != 1 {
		t.Error("Release did not run both tasks in turn")
	}
	hold()
	for i := range tasks {
		w.Schedule(&tasks[i])
	}
	w.Release()
	for i := range tasks {
		select {
		case got := <-ran:
			if got != i {
				t.Errorf("task %d ran, want %d", got, i)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("task %d did not run", i)
		}
	}
	hold() // it has come to rest, or this would fail
	w.Release()
	w.Close()
	<-done
}

// Spinning has to pay, and so has lingering.
func TestWaiter(t *testing.T) {
	w := &waiter{}
	count := func(found bool, took time.Duration) (spins int) {
		for range 1000 {
			if w.spins() {
				spins++
				if w.spun(found); found {
					continue
				}
			}
			w.waited(took)
		}
		return spins
	}
	if n := count(true, time.Second); n != 0 || w.lingers {
		t.Errorf("%d of 1000 waits of a second spin, lingers: %v", n, w.lingers)
	}
	if n := count(true, spin); n < 1000-rareSpin || !w.lingers {
		t.Errorf("%d of 1000 waits spin where each finds something, lingers: %v", n, w.lingers)
	}
	if n := count(false, spin); n > mostCredit+1000/rareSpin+1 {
		t.Errorf("%d of 1000 waits spin for nothing", n)
	}
	if n := count(true, spin); n < 1000-rareSpin {
		t.Errorf("%d of 1000 waits spin when it pays again", n)
	}
	if n := count(false, 2*linger); n > mostCredit || w.lingers {
		t.Errorf("%d of 1000 long waits spin, lingers: %v", n, w.lingers)
	}
	w.alone = true
	if n := count(true, spin); n != 0 {
		t.Errorf("%d of 1000 waits spin on one processor", n)
	}
}
