package outbound

import (
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// A raw socket (raw(7)) gets a copy of all ICMP that the host receives, and
// errors about all echo requests that anybody on the host sent. So a flow has
// an identifier of its own, random as the kernel's for a ping socket, and a
// filter that lets through only its replies.

// openRaw makes a raw socket that receives echo replies with the identifier id.
func (e *Echo) openRaw(i *icmp) (fd int, id uint16, err error) {
	fd, err = unix.Socket(i.family, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, i.proto)
	if err != nil {
		return -1, 0, err
	}
	id = e.reserveRaw()
	if err := i.filterReplies(fd, id); err != nil {
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
// with the IPv4 header, or with the ICMPv6 one.
func (i *icmp) filterReplies(fd int, id uint16) error {
	start := unix.SockFilter{Code: unix.BPF_LDX | unix.BPF_MSH | unix.BPF_B} // the header's length
	if i == icmp6 {
		start = unix.SockFilter{Code: unix.BPF_LDX | unix.BPF_IMM}
	}
	program := []unix.SockFilter{
		start,
		{Code: unix.BPF_LD | unix.BPF_IND | unix.BPF_B}, // type
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(i.reply), Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_IND | unix.BPF_H, K: icmpIDOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(id), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
		{Code: unix.BPF_RET | unix.BPF_K},
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}
