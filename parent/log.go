package parent

import (
	"io"
	"time"
)

const (
	// maxLines is how many lines wait for a reader of our standard error.
	maxLines = 256
	// lastLines is how long they may take at the end.
	lastLines = 100 * time.Millisecond
)

// patientLog writes in the background: standard error may be a pipe that nobody
// reads, and no client is to wait for that. What there is no room for is lost.
type patientLog struct {
	lines chan []byte
	done  chan struct{}
}

func newPatientLog(w io.Writer) *patientLog {
	l := &patientLog{lines: make(chan []byte, maxLines), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for line := range l.lines {
			_, _ = w.Write(line)
		}
	}()
	return l
}

// Write implements io.Writer. It never waits, and never fails.
func (l *patientLog) Write(b []byte) (int, error) {
	select {
	case l.lines <- append([]byte(nil), b...):
	default:
	}
	return len(b), nil
}

// Close waits a moment for what is left. Nothing may be written any more.
func (l *patientLog) Close() {
	close(l.lines)
	select {
	case <-l.done:
	case <-time.After(lastLines):
	}
}
