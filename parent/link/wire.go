package link

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Wire is what an Endpoint is connected to in place of a TAP: something that
// carries whole Ethernet frames, without a virtio-net header, and so without
// offloads.
type Wire interface {
	// Name is for messages.
	Name() string
	// Run calls receive, on one goroutine, with each frame that comes, until
	// Close (nil) or until no more can come (ErrGone). A frame is receive's
	// only until it returns.
	Run(receive func(frame []byte)) error
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

// Connect gives the Endpoint a Wire as its device, which it owns from then on.
// It takes the place of Open.
func (e *Endpoint) Connect(w Wire) {
	e.wire = w
}

// Announcement is the frame by which an IPv4 address of ours says what its
// Ethernet address is, without having been asked (RFC 5227, section 3).
func Announcement(a netip.Addr) []byte {
	mac, ip := ipv4MAC(a), a.As4()
	f := make([]byte, arpFrame)
	copy(f[0:], broadcastMAC[:])
	copy(f[6:], mac[:])
	binary.BigEndian.PutUint16(f[12:], etherARP)
	r := f[ethLen:]
	binary.BigEndian.PutUint16(r[0:], 1) // Ethernet
	binary.BigEndian.PutUint16(r[2:], etherIPv4)
	r[4], r[5] = byte(len(mac)), byte(len(ip))
	binary.BigEndian.PutUint16(r[6:], arpRequest)
	copy(r[8:], mac[:])
	copy(r[14:], ip[:])
	copy(r[24:], ip[:])
	return f
}

// OwnMACs are the Ethernet addresses of our own with these IPv4 addresses.
func OwnMACs(addrs ...netip.Addr) []MAC {
	macs := []MAC{RouterMAC6}
	for _, a := range addrs {
		macs = append(macs, ipv4MAC(a))
	}
	return macs
}
