package parent

import (
	"io/fs"
	"net"
	"net/netip"

	"github.com/slirp4netns-go/slirp4netns/seccomp"
)

// TargetKind says how the command line names what we connect to.
type TargetKind int

const (
	// TargetPID is a process whose user and network namespaces we join.
	TargetPID TargetKind = iota
	// TargetPath is a network namespace file such as /run/netns/x.
	TargetPath
	// TargetTapFD is an inherited file descriptor of a TAP (or of a socket
	// that carries one Ethernet frame per message). There is no child.
	TargetTapFD
	// TargetBESS is a SOCK_SEQPACKET server for User Mode Linux.
	TargetBESS
)

// Target is what the guest's frames come from.
type Target struct {
	Kind TargetKind
	PID  int    // TargetPID
	Path string // TargetPath: the network namespace; TargetBESS: the socket
	FD   int    // TargetTapFD
	// UserNS is --userns-path, empty when not given.
	UserNS string
}

// Outbound is --outbound-addr or --outbound-addr6: the source of what leaves
// the host. The zero value leaves the choice to the kernel.
type Outbound struct {
	Addr      netip.Addr // resolved address; the zero Addr when not given
	Interface string     // set when the option named an interface
}

// onInterface tells whether it means one interface: a link-local address does.
func (o Outbound) onInterface() bool { return o.Interface != "" || o.Addr.IsLinkLocalUnicast() }

// Publish is --publish: a port of the host, or a range, that leads to the guest.
type Publish struct {
	Network   string         // tcp, tcp4, tcp6, udp, udp4 or udp6
	Host      netip.AddrPort // port 0: any free one
	End       uint16         // last port of a range; 0: no range
	GuestPort uint16         // of the first
}

// Config is one validated command line. Nothing in it needs to be checked
// again, apart from what only the kernel can tell (does the namespace exist,
// may we join it).
type Config struct {
	Target    Target
	TapName   string // empty for TargetTapFD and TargetBESS
	Configure bool   // -c

	ReadyFD int // -1: none
	ExitFD  int // -1: none

	MTU        uint32
	EnableIPv6 bool
	APISocket  string // empty: none
	// APISocketMode are the permissions of the control socket.
	APISocketMode fs.FileMode
	// Publish are the ports to forward from the start.
	Publish []Publish
	Version string // of the program

	// Network is --cidr, masked; its prefix length is 1 to 25.
	Network netip.Prefix
	// Network6 is --cidr6, masked; its prefix length is 64.
	Network6 netip.Prefix
	MAC      net.HardwareAddr // nil: the kernel chooses

	DisableHostLoopback bool
	DisableDNS          bool
	DNS                 DNS
	Sandbox             bool
	Seccomp             bool
	SeccompAction       seccomp.Action // what happens to calls that are not allowed
	Outbound4           Outbound
	Outbound6           Outbound
}

// Offsets of the well-known IPv4 addresses in Network, as in slirp4netns(1).
const (
	gatewayOffset     = 2
	nameserverOffset  = 3
	dhcpFirstOffset   = 15
	dhcpLastOffset    = 30
	recommendedOffset = 100
)

// Gateway is the address under which the guest sees the host.
func (c *Config) Gateway() netip.Addr { return addrAt(c.Network, gatewayOffset) }

// Nameserver is the address of the built-in DNS relay.
func (c *Config) Nameserver() netip.Addr { return addrAt(c.Network, nameserverOffset) }

// DHCPFirst is the first address that the DHCP server hands out.
func (c *Config) DHCPFirst() netip.Addr { return addrAt(c.Network, dhcpFirstOffset) }

// DHCPLast is the last address of the DHCP pool that the banner names.
func (c *Config) DHCPLast() netip.Addr { return addrAt(c.Network, dhcpLastOffset) }

// Recommended is the guest's address with --configure.
func (c *Config) Recommended() netip.Addr { return addrAt(c.Network, recommendedOffset) }

// addrAt is the IPv4 address at offset n of network p.
func addrAt(p netip.Prefix, n uint32) netip.Addr {
	a := p.Masked().Addr().As4()
	v := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	v += n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
