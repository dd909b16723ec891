// Package lab is a small network in which tests, the demonstration and the
// benchmarks run, so that nothing that they do can leave the machine.
//
//	 guest              host                        inet
//	┌───────┐ slirp4netns ┌──────────────────┐ veth ┌────────────────────┐
//	│ tap0  │═════════════│ 198.51.100.1     │──────│ 198.51.100.2       │
//	│ (10.0.│             │ 2001:db8:100::1  │      │ 2001:db8:100::2    │
//	│  2.100│             │ 127.0.0.1:8000   │      │ HTTP, DNS, echo, … │
//	└───────┘             └──────────────────┘      └────────────────────┘
//
// [Enter] (or [Main], for tests) runs the calling program again inside new
// network, mount and PID namespaces, "the host", whose only way out is a veth
// pair to a further network namespace, "inet". The servers of both run in the
// program itself. A [Guest] is a network namespace with no interface but lo,
// owned by an ordinary user; [Guest.Slirp] connects it.
//
// The lab works as root and as an ordinary user. Root gets real second users;
// an ordinary user gets a user namespace in which he is root, and inside it
// another, in which he is [OrdinaryUID] without capabilities. What needs two
// different users on the host calls [NeedUsers], which fails where there is
// only one.
//
// Everything in the lab dies with the program: the kernel kills a PID
// namespace when its first process ends.
//
// Sources: network_namespaces(7), user_namespaces(7), pid_namespaces(7),
// veth(4), and for the addresses RFC 5737 and RFC 3849.
package lab
