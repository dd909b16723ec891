package outbound

import (
	"encoding/binary"
	"math/rand/v2"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A raw socket (raw(7)) gets a copy of all ICMP that the host receives, and
// errors about all echo requests that anybody on the host sent. So a flow has
// an identifier of its own, random as the kernel's for a ping socket, and a
// filter that lets through only its replies.

// openRaw makes a raw socket that receives echo replies with the identifier id.
func (e *Echo) openRaw() (fd int, id uint16, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		return -1, 0, err
	}
	id = e.reserveRaw()
	if err := filterReplies(fd, id); err != nil {
		unix.Close(fd)
		e.releaseID(id)
		return -1, 0, err
	}
	return fd, id, nil
}

// reserveRaw finds an identifier that no flow has.
func (e *Echo) reserveRaw() uint16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		id := uint16(rand.Uint32())
		if _, ok := e.raw[id]; !ok {
			e.raw[id] = struct{}{}
			return id
		}
	}
}

func (e *Echo) releaseID(id uint16) {
	e.mu.Lock()
	delete(e.raw, id)
	e.mu.Unlock()
}

// releaseRaw gives back the identifier of a flow, if it has one.
func (e *Echo) releaseRaw(f *pingFlow) {
	if f.raw {
		e.releaseID(f.id)
	}
}

// filterReplies attaches a classic BPF program (bpf(4)); what it sees begins
// with the IP header.
func filterReplies(fd int, id uint16) error {
	const ipHeaderLength = unix.BPF_LDX | unix.BPF_MSH | unix.BPF_B
	program := []unix.SockFilter{
		{Code: ipHeaderLength},
		{Code: unix.BPF_LD | unix.BPF_IND | unix.BPF_B}, // type
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(header.ICMPv4EchoReply), Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_IND | unix.BPF_H, K: icmpIDOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(id), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
		{Code: unix.BPF_RET | unix.BPF_K},
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// icmpIDOffset is where an echo message has its identifier (RFC 792).
const icmpIDOffset = 4

// setID puts id into the echo message msg.
func setID(msg []byte, id uint16) {
	binary.BigEndian.PutUint16(msg[icmpIDOffset:], id)
	msg[2], msg[3] = 0, 0
	binary.BigEndian.PutUint16(msg[2:], ^checksum.Checksum(msg, 0))
}
