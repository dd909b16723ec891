package link

import (
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/gro"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// Wire is what an Endpoint is connected to in place of a TAP: something that
// carries whole Ethernet frames, without a virtio-net header, and so without
// offloads.
type Wire interface {
	// Name is for messages.
	Name() string
	// Start begins to read, on the poller's goroutine, and calls the Taker
	// there. It is called once at most, and before anything is sent.
	Start(p *poll.Poller, to Taker) error
	// Send sends a frame in pieces, of which the first has the whole Ethernet
	// header. It does not block, may be called on several goroutines at once,
	// and keeps nothing. A false result means that the frame was dropped.
	Send(frame []unix.Iovec) bool
	// SendAll is Send for several frames with the same Ethernet addresses, and
	// returns how many were not dropped.
	SendAll(frames [][]unix.Iovec) int
	// Close closes it, when the poller has been closed. Nothing is sent
	// afterwards.
	Close() error
}

// Taker is whom a Wire tells what it reads.
type Taker interface {
	// Frames takes the frames that have come at once from a Port. They, and
	// the slice, are its only until it returns.
	Frames(frames [][]byte, from Port)
	// Gone tells that nothing more comes from a Port.
	Gone(Port)
	// Ended tells that nothing more comes at all (ErrGone). It is told once.
	Ended(error)
}

// Port tells apart what is plugged in at the other end of a Wire. A number is
// never used again. A TAP, and a Wire that has one only, have Port 0.
type Port uint32

// Connect gives the Endpoint a Wire as its device, which it owns from then on.
// It takes the place of Open.
func (e *Endpoint) Connect(w Wire) {
	e.wire = w
	e.neigh.fallback = MAC{}
	e.neigh.most = maxPeerNeighbours
}

// wireReader is the Endpoint's Taker.
type wireReader struct {
	reader
	ended func(error)
}

// watchWire is Watch for a Wire.
func (e *Endpoint) watchWire(p *poll.Poller, ended func(error)) error {
	w := &wireReader{reader: reader{e: e}, ended: ended}
	w.batch = gro.New(w.gathered)
	return e.wire.Start(p, w)
}

// Frames implements Taker. What the frames leave to the worker is done after
// the last one, if there is little of it.
func (w *wireReader) Frames(frames [][]byte, from Port) {
	e := w.e
	defer e.sendAcks(false) // other events of the batch may take long
	if e.worker != nil && e.worker.Hold() {
		defer e.worker.Release()
	}
	w.port, w.more = from, len(frames) > 1
	for _, f := range frames {
		if len(f) <= ethLen {
			e.stats.Malformed.Add(1)
			continue
		}
		w.handle(f, &VnetHdr{}, f[ethLen:])
	}
	w.batch.Flush()
	if w.more && e.flush != nil {
		e.flush()
	}
}

// Gone implements Taker.
func (w *wireReader) Gone(p Port) {
	w.e.neigh.gone(p)
	if w.e.gone != nil {
		w.e.gone(p)
	}
}

// Ended implements Taker.
func (w *wireReader) Ended(why error) { w.ended(why) }
