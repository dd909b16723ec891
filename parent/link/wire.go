package link

import "golang.org/x/sys/unix"

// Wire is what an Endpoint is connected to in place of a TAP: something that
// carries whole Ethernet frames, without a virtio-net header, and so without
// offloads.
type Wire interface {
	// Name is for messages.
	Name() string
	// Run calls receive, on one goroutine, with the frames that come, as many
	// as have come at once, until Close (nil) or until no more can come
	// (ErrGone). Frames, and the slice, are receive's only until it returns.
	// gone is called, on the same goroutine, when nothing more comes from a
	// Port.
	Run(receive func(frames [][]byte, from Port), gone func(Port)) error
	// Send sends a frame in pieces, of which the first has the whole Ethernet
	// header. It does not block, may be called on several goroutines at once,
	// and keeps nothing. A false result means that the frame was dropped.
	Send(frame []unix.Iovec) bool
	// SendAll is Send for several frames with the same Ethernet addresses, and
	// returns how many were not dropped.
	SendAll(frames [][]unix.Iovec) int
	// Close ends Run. Nothing is sent afterwards.
	Close() error
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
