package api

// Info is the reply to query_info.
type Info struct {
	Version    string   `json:"version"`
	PID        int      `json:"pid"`
	Interface  string   `json:"interface"`
	MTU        uint32   `json:"mtu"` // bytes
	Network    string   `json:"network"`
	Gateway    string   `json:"gateway"`
	Nameserver string   `json:"nameserver"`
	Guest      string   `json:"guest"` // the recommended address
	IPv6       bool     `json:"ipv6"`
	VnetHdr    bool     `json:"vnet_hdr"`
	Offloads   []string `json:"offloads"`
	Features   []string `json:"features"`
}

// Stats is the reply to query_stats. All numbers but those called Open, those
// of Memory, forwards and peers only ever grow.
type Stats struct {
	Uptime  float64           `json:"uptime"` // seconds
	TCP     Protocol          `json:"tcp"`
	UDP     Protocol          `json:"udp"`
	ICMP    Protocol          `json:"icmp"`
	Other   Traffic           `json:"other"` // frames of other protocols
	DNS     DNS               `json:"dns"`
	Hostfwd Hostfwd           `json:"hostfwd"`
	Orphans int               `json:"orphans"`          // TCP connections that only the guest still has
	Drops   map[string]uint64 `json:"drops"`            // packets, by reason
	Switch  *Switch           `json:"switch,omitempty"` // of --target-type=bess
	Memory  Memory            `json:"memory"`
}

// Protocol is what one protocol carries: the guest's traffic at the TAP, and
// the flows that the guest started.
type Protocol struct {
	Traffic
	Flows Flows `json:"flows"`
}

// Traffic counts packets and their bytes, from the IP header on. What the
// kernel hands over or takes in one piece, for one of the two to cut up, is one
// packet.
type Traffic struct {
	GuestPackets uint64 `json:"guest_packets"` // from the guest
	GuestBytes   uint64 `json:"guest_bytes"`
	HostPackets  uint64 `json:"host_packets"` // to the guest
	HostBytes    uint64 `json:"host_bytes"`
}

// Flows is how many there are now and were since the start.
type Flows struct {
	Open  int    `json:"open"`
	Total uint64 `json:"total"`
}

// DNS is what the relay does.
type DNS struct {
	Open    int    `json:"open"`    // sockets towards resolvers
	Queries uint64 `json:"queries"` // over UDP
	Answers uint64 `json:"answers"` // to them
}

// Hostfwd is what comes from forwarded ports.
type Hostfwd struct {
	Forwards int    `json:"forwards"`
	TCP      Flows  `json:"tcp"`
	UDP      Flows  `json:"udp"`
	Refused  uint64 `json:"refused"` // connections that the guest did not accept
}

// Switch is the switch of --target-type=bess. What it drops does not get as far
// as Drops.
type Switch struct {
	Peers     int    `json:"peers"`         // at the moment
	Refused   uint64 `json:"refused_peers"` // that came when there were enough
	Spoofed   uint64 `json:"spoofed"`       // frames that made a peer the gateway, the router or a DHCP server
	Malformed uint64 `json:"malformed"`     // frames that no peer should send
	QueueFull uint64 `json:"queue_full"`    // frames for peers that did not read them
}

// Memory is in bytes.
type Memory struct {
	Heap  uint64 `json:"heap"`  // of live and dead objects
	Total uint64 `json:"total"` // mapped by the runtime
	// Goroutines is their number.
	Goroutines int `json:"goroutines"`
}

// Flow is one entry of list_flows.
type Flow struct {
	Proto string `json:"proto"` // tcp, udp, icmp
	// Origin is who started it: guest, or host for a forward.
	Origin string `json:"origin"`
	// Guest is the guest's end, Peer the other one as the guest sees it.
	Guest string `json:"guest"`
	Peer  string `json:"peer,omitempty"`
	// Local and Remote are the ends of the host's socket.
	Local  string  `json:"local,omitempty"`
	Remote string  `json:"remote,omitempty"`
	State  string  `json:"state"`
	Age    float64 `json:"age"` // seconds
	// GuestBytes and HostBytes are payload, from and to the guest.
	GuestBytes uint64 `json:"guest_bytes"`
	HostBytes  uint64 `json:"host_bytes"`
	Inode      uint64 `json:"inode"` // of the host's socket, as ss -e names it
}
