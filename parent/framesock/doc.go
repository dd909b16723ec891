// Package framesock carries Ethernet frames over UNIX sockets that keep
// messages apart (SOCK_SEQPACKET and SOCK_DGRAM, unix(7)): one raw frame a
// message, nothing before it, as User Mode Linux's BESS transport does.
//
// A [Socket] sends at once what the kernel takes. What it does not take waits
// in a queue of that socket, and goes out, many frames in one system call, when
// the other side has made room. A full queue drops: who does not read loses
// frames of his own, and neither blocks nor slows anybody else.
//
// A [Receiver] takes many frames in one system call. Descriptors that come
// with a message (SCM_RIGHTS) are discarded by the kernel, since no room is
// made for them.
//
// [Pair] is a [link.Wire] over one socket, which the caller of the program
// passed to it. The switch of User Mode Linux, parent/vswitch, has many.
//
// The end. A SOCK_SEQPACKET socket whose other end is closed says so (EPOLLHUP;
// a message of no bytes does not count as an end). A SOCK_DGRAM socket says
// nothing: only sending fails. So a Pair sends now and then.
//
// What it must not do: look into frames.
package framesock
