package link

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

const (
	ethLen    = header.EthernetMinimumSize // 14 bytes
	etherIPv4 = uint16(header.IPv4ProtocolNumber)
	etherIPv6 = uint16(header.IPv6ProtocolNumber)
	etherARP  = uint16(header.ARPProtocolNumber)

	// maxIP is the size in bytes of the largest IPv4 packet.
	maxIP = 65535
	// maxHeaders is what a TCP segment's headers may take in bytes: IPv6 and
	// TCP with all its options.
	maxHeaders = header.IPv6MinimumSize + header.TCPHeaderMaximumSize
)

// Packet is a valid IP packet that came from the guest. Bytes are the link's
// and may be used only until the Receiver returns.
type Packet struct {
	Bytes  []byte // from the IP header to the end of the packet
	Proto  tcpip.TransportProtocolNumber
	HdrLen int // bytes of IP header (and, for IPv6, extension headers)
	// Reassembled tells that it came in fragments.
	Reassembled bool
	// SegSize is not 0 when UDP payload stands for several datagrams of that
	// many bytes each, the last one perhaps shorter.
	SegSize int
	// More tells that there are likely to be more packets right behind this
	// one. Config.Flush is called when there are none.
	More bool
	// Port is where the packet came from; 0 if it was reassembled.
	Port Port
}

// Receiver takes packets that netstack shall not see. It reports whether it
// took the packet. It is called on one goroutine, and must not block.
type Receiver func(Packet) bool

// Stats counts what the link carried and dropped. All counters only ever grow.
type Stats struct {
	FromGuest Traffic
	ToGuest   Traffic

	Malformed    atomic.Uint64 // frames too short or inconsistent
	BadChecksum  atomic.Uint64
	Unsupported  atomic.Uint64 // EtherTypes and versions that we do not speak
	WriteDropped atomic.Uint64 // frames that the TAP did not take
}

// Config describes an Endpoint.
type Config struct {
	MTU uint32
	// Addrs are the IPv4 addresses that are answered by ARP. The first one,
	// the gateway, gives all IPv4 frames their source.
	Addrs []netip.Addr
	// IPv6 tells whether IPv6 is spoken at all, and Addrs6 are the addresses
	// that are ours, whose Ethernet address no guest can claim.
	IPv6   bool
	Addrs6 []netip.Addr
	// Receive may be nil.
	Receive Receiver
	// Flush is called, where Receive is, when there are no more packets for
	// now behind one that had More set. It may be nil if Receive is.
	Flush func()
	// Gone is called on the same goroutine when nothing more comes from a Port
	// of a Wire. It may be nil.
	Gone func(Port)
	// Broadcast is that of the IPv4 network.
	Broadcast netip.Addr
	// Worker is what netstack's callbacks leave work to. It may be nil.
	Worker *poll.Worker
}

// Input has netstack process a TCP segment while it is being delivered.
type Input interface {
	// Begin is called with a segment behind hdrLen bytes of packet. If it
	// returns true, the segment is not delivered to netstack, but Queue and
	// End are called, which tells whether the connection is in TIME-WAIT now.
	Begin(proto tcpip.NetworkProtocolNumber, packet []byte, hdrLen int) bool
	// Queue is given the same packet in between.
	Queue(proto tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer, hdrLen int)
	// Quiet, between Queue and End, keeps back the acknowledgement of the
	// segment, which takes size sequence numbers from seq on. If it does, it
	// returns what Acknowledge is to be called with later, and nil otherwise.
	Quiet(seq, size uint32) stack.TransportEndpoint
	End() (timeWait bool)
	Acknowledge(stack.TransportEndpoint)
}

// Endpoint implements stack.LinkEndpoint and stack.GSOEndpoint.
type Endpoint struct {
	mtu    uint32
	addrs  []netip.Addr
	addrs6 []netip.Addr
	toAll  netip.Addr
	ipv6   bool
	mac4   MAC
	recv   Receiver
	flush  func()
	gone   func(Port)
	worker *poll.Worker
	input  Input // nil: netstack goes its own way
	stats  Stats
	acks   acks

	dispatcher stack.NetworkDispatcher

	// Set by Open, before the first packet.
	fd      int
	name    string
	tap     *tap // set by Watch
	wire    Wire // nil: there is fd
	vnetLen int  // bytes of virtio-net header; 0: none
	gso     bool
	offload uint32 // effective TUNSETOFFLOAD bits
	neigh   *neighbours
	closed  atomic.Bool
	life    sync.RWMutex // held for reading while fd is written to
	reading sync.Mutex   // held while fd is read
}

var (
	_ stack.LinkEndpoint = (*Endpoint)(nil)
	_ stack.GSOEndpoint  = (*Endpoint)(nil)
)

// New makes an Endpoint that has no device yet, so that the stack can be built
// before the device is there.
func New(cfg Config) *Endpoint {
	e := &Endpoint{
		mtu:    cfg.MTU,
		addrs:  cfg.Addrs,
		addrs6: cfg.Addrs6,
		toAll:  cfg.Broadcast,
		ipv6:   cfg.IPv6,
		mac4:   ipv4MAC(cfg.Addrs[0]),
		recv:   cfg.Receive,
		flush:  cfg.Flush,
		gone:   cfg.Gone,
		worker: cfg.Worker,
		fd:     -1,
		// Until a device says otherwise; see SupportedGSO.
		gso: true,
	}
	e.neigh = newNeighbours(e)
	return e
}

// Open gives the Endpoint its device, which it owns from then on. It must be
// called once, before the stack sends or receives anything.
func (e *Endpoint) Open(fd int, f tun.Features) error {
	if f.VnetHdrLen != 0 && (f.VnetHdrLen < vnetMin || f.VnetHdrLen > vnetMax) {
		return fmt.Errorf("link: %s has a virtio-net header of %d bytes, want %d to %d", f.Name, f.VnetHdrLen, vnetMin, vnetMax)
	}
	if f.VnetHdrLen != 0 && f.Offload == 0 {
		offload, err := tun.SetOffload(fd, tun.OffloadAll)
		if err != nil {
			return fmt.Errorf("link: %s: %w", f.Name, err)
		}
		f.Offload = offload
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("link: %s: fcntl(O_NONBLOCK): %w", f.Name, err)
	}
	if mac, ok := deviceMAC(fd); ok {
		e.neigh.fallback = mac
	}
	e.fd = fd
	e.vnetLen = f.VnetHdrLen
	e.gso = f.Offload&tun.OffloadTCP == tun.OffloadTCP
	e.offload = f.Offload
	e.name = f.Name
	return nil
}

// deviceMAC asks a TAP for the Ethernet address of its interface.
func deviceMAC(fd int) (MAC, bool) {
	ifr, err := unix.NewIfreq("x")
	if err != nil {
		return MAC{}, false
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, ifr); err != nil {
		return MAC{}, false
	}
	return hwAddr(ifr), true
}

// SetInput must be called before the first packet.
func (e *Endpoint) SetInput(in Input) { e.input = in }

// Offload returns the device's effective TUNSETOFFLOAD bits.
func (e *Endpoint) Offload() uint32 { return e.offload }

// Stats returns the live counters.
func (e *Endpoint) Stats() *Stats { return &e.stats }

// MTU implements stack.LinkEndpoint.
func (e *Endpoint) MTU() uint32 { return e.mtu }

// SetMTU implements stack.LinkEndpoint.
func (e *Endpoint) SetMTU(mtu uint32) { e.mtu = mtu }

// MaxHeaderLength implements stack.LinkEndpoint. Our headers are written from
// an iovec of their own.
func (e *Endpoint) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.LinkEndpoint.
func (e *Endpoint) LinkAddress() tcpip.LinkAddress { return tcpip.LinkAddress(e.mac4[:]) }

// SetLinkAddress implements stack.LinkEndpoint. The address follows from the
// gateway's and cannot be changed.
func (e *Endpoint) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements stack.LinkEndpoint. Transmit checksum offload is not
// claimed: netstack would then leave it out of segments for which it does not
// ask for it (NeedsCsum), such as SYN-ACK.
func (e *Endpoint) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload
}

// SupportedGSO implements stack.GSOEndpoint. A TAP that does not segment gets
// segments that netstack cut; for a Wire see writeSegments.
func (e *Endpoint) SupportedGSO() stack.SupportedGSO {
	if e.gso {
		return stack.HostGSOSupported
	}
	return stack.GVisorGSOSupported
}

// GSOMaxSize implements stack.GSOEndpoint: what fits in one IP packet.
func (e *Endpoint) GSOMaxSize() uint32 { return maxIP - maxHeaders }

// Attach implements stack.LinkEndpoint.
func (e *Endpoint) Attach(d stack.NetworkDispatcher) { e.dispatcher = d }

// IsAttached implements stack.LinkEndpoint.
func (e *Endpoint) IsAttached() bool { return e.dispatcher != nil }

// Wait implements stack.LinkEndpoint. Who closes the poller waits for it.
func (e *Endpoint) Wait() {}

// ARPHardwareType implements stack.LinkEndpoint. netstack shall not do ARP.
func (e *Endpoint) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }

// AddHeader implements stack.LinkEndpoint.
func (e *Endpoint) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.LinkEndpoint.
func (e *Endpoint) ParseHeader(*stack.PacketBuffer) bool { return true }

// SetOnCloseAction implements stack.LinkEndpoint.
func (e *Endpoint) SetOnCloseAction(func()) {}

// Close implements stack.LinkEndpoint: it closes the device. That of a Wire may
// be closed only after the poller.
func (e *Endpoint) Close() {
	if e.fd < 0 && e.wire == nil || e.closed.Swap(true) {
		return
	}
	e.neigh.close()
	// Whoever is writing or reading finishes first, and nobody does from then
	// on: the number may be another's soon.
	e.life.Lock()
	//lint:ignore SA2001 that was the wait
	e.life.Unlock()
	if e.wire != nil {
		e.wire.Close()
		return
	}
	e.reading.Lock()
	defer e.reading.Unlock()
	if e.tap != nil {
		e.tap.poller.Remove(e.fd, e.tap.token)
	}
	unix.Close(e.fd)
}
