package poll

import (
	"runtime"
	"sync"
	"time"
)

// Task is a piece of work that can be queued at most once at a time. It is
// embedded in whatever has work to do.
type Task struct {
	run    func()
	next   *Task
	queued bool // guarded by Worker.mu
}

// Init sets what the task does. It must be called before the first Schedule.
func (t *Task) Init(run func()) { t.run = run }

// Worker runs tasks one after the other on one goroutine.
type Worker struct {
	mu     sync.Mutex
	head   *Task // guarded by mu
	tail   *Task // guarded by mu
	parked bool  // guarded by mu
	held   bool  // guarded by mu; Release will see to what is queued
	closed bool  // guarded by mu
	wake   chan struct{}
}

// NewWorker makes a Worker. Run must be called for tasks to be run.
func NewWorker() *Worker { return &Worker{wake: make(chan struct{}, 1)} }

// Schedule queues t, unless it is queued already. It never blocks and may be
// called under any lock that the task itself does not hold while it calls
// Schedule.
func (w *Worker) Schedule(t *Task) {
	w.mu.Lock()
	if t.queued || w.closed {
		w.mu.Unlock()
		return
	}
	t.queued = true
	t.next = nil
	if w.tail == nil {
		w.head = t
	} else {
		w.tail.next = t
	}
	w.tail = t
	wake := w.parked && !w.held
	if wake {
		w.parked = false
	}
	w.mu.Unlock()
	if wake {
		w.wake <- struct{}{}
	}
}

// Hold keeps the Worker asleep until Release, if it is: what is scheduled
// meanwhile is run by Release, on the goroutine that calls it. That saves
// waking another thread for a few microseconds' work. It reports false if the
// Worker is busy or held already; then there must be no Release.
func (w *Worker) Hold() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.parked || w.held {
		return false
	}
	w.held = true
	return true
}

// What Release runs itself: so many tasks in any case, and more for so long. The
// rest waits for its turn among the other goroutines.
const (
	inlineLeast = 4
	inlineMost  = 32
	inlineTime  = 500 * time.Microsecond
)

// Release ends Hold.
func (w *Worker) Release() {
	var begin time.Time
	for i := range inlineMost {
		switch {
		case i < inlineLeast:
		case i == inlineLeast:
			begin = time.Now()
		case time.Since(begin) > inlineTime:
			w.let()
			return
		}
		t := w.takeHeld()
		if t == nil {
			return
		}
		t.run()
	}
	w.let()
}

// let has the Worker's own goroutine do what is left.
func (w *Worker) let() {
	w.mu.Lock()
	wake := w.held && w.head != nil
	if wake {
		w.parked = false
	}
	w.held = false
	w.mu.Unlock()
	if wake {
		w.wake <- struct{}{}
	}
}

// takeHeld takes a task off the queue of a Worker that is held, or lets go of
// it when there is none.
func (w *Worker) takeHeld() *Task {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.held {
		return nil
	}
	if w.head == nil || w.closed {
		w.held = false
		return nil
	}
	return w.take()
}

// take takes the first task off the queue. mu is held.
func (w *Worker) take() *Task {
	t := w.head
	w.head = t.next
	if w.head == nil {
		w.tail = nil
	}
	t.next = nil
	t.queued = false
	return t
}

// Run runs tasks until Close.
func (w *Worker) Run() {
	for {
		t, ok := w.next()
		if !ok {
			return
		}
		t.run()
		runtime.Gosched() // the poller has things to do, too
	}
}

// next waits for a task and takes it off the queue. It reports false after
// Close.
func (w *Worker) next() (*Task, bool) {
	for {
		w.mu.Lock()
		if w.closed {
			w.mu.Unlock()
			return nil, false
		}
		if w.head != nil {
			t := w.take()
			w.mu.Unlock()
			return t, true
		}
		w.parked = true
		w.mu.Unlock()
		<-w.wake
	}
}

// Close ends Run after the task that is running now. Queued tasks are dropped.
func (w *Worker) Close() {
	w.mu.Lock()
	w.closed = true
	w.head, w.tail = nil, nil
	wake := w.parked
	w.parked = false
	w.mu.Unlock()
	if wake {
		w.wake <- struct{}{}
	}
}
