package main

import "fmt"

// notes say what the rows mean, and why some programs are not in some.
func (r *result) notes() string {
	return fmt.Sprintf(`- TCP out, in, forwarded: iperf3 for %[1]d s after one second of warm-up, between
  the guest and the host's 127.0.0.1; what the receiver saw. "Out" is from the
  guest to the host by 10.0.2.2, "in" back, "forwarded" from the host to a port
  that is forwarded into the guest. What pasta forwards from loopback it hands
  to the namespace without its stack and the TAP ("splice").
- Processor time: of the data plane's processes alone, for 10^9 bytes: one, with
  RootlessKit's drivers two.
- pasta is Debian 12's, of March 2023. The senders in its guests have buffers of
  208 KiB at most (net.ipv4.tcp_wmem). With the kernel's usual 4 MiB the guest
  drops frames in front of the TAP, and this pasta, whose stack knows no SACK,
  comes on from there by the sender's time-outs only: mostly below 0.2 Gbit/s
  out, at each MTU, with BBR and with Reno. A queue of 10,000 frames did not
  help, smaller receive buffers on the host helped less. It is not in the row
  of UDP through a forward: of 16 clients none got an answer.
- RootlessKit's builtin port driver and gvisor-tap-vsock (network and ports):
  those of RootlessKit %[2]s. Builtin has ports alone, and no
  way out of the guest; neither of them has a resolver or a start that compare.
- Loopback alone: the same client and server without a guest; its MTU is 65536.
- 50 %% and 99 %%: so many of the times are shorter.
- Request and response: %[3]d on one connection, threads that block in system
  calls. 16 connections or clients: one thread with epoll(7) at either end, a
  request under way on each. Connect: in a loop, in one thread or 16.
- No failure is allowed: a connection that fails, a byte or DNS answer that does
  not come or is another, an error of iperf3, and a request of wrk's that fails
  or is not answered with success leave the program without a figure in that row.
  UDP datagrams other than DNS may be lost.
- UDP received: one iperf3 -u that sends as fast as it can.
- DNS: a resolver on the host's loopback that answers every query alike, on one
  thread. HTTP: wrk against nginx with one worker.
- From exec to ready: with --configure, until the program has written to its
  ready-fd, at least %[4]d starts, each in a new namespace. With an exit-fd the TAP
  is made on the spot; without one it is made in a way that shows the end of the
  namespace, which costs time in the kernel. "slirp-child": as make install
  builds it, the child is that smaller program. "Locked": --enable-sandbox and
  --enable-seccomp.
- Idle: %.0[5]f s. The rows of memory, idle and gap are measured once.
- Open connections: each has carried a byte each way. Descriptors are limited as
  the caller of the benchmark has it, to more than 10,000 for that row: the C
  program takes a minute to open so many, of which each is looked for in a list.
- Gap: the longest time in which the receiver of one connection got nothing, in
  %.0[5]f s.
- A reader that sleeps: %[6]d connections whose guests read nothing.
- BESS: a guest whose TAP is bridged to the socket, by two goroutines of the
  benchmark; between two machines: two such guests, and the switch. User Mode
  Linux: iperf3 inside it. The C program serves one machine at a time.
`, r.Seconds, r.Machine.Kit, requests, starts, r.Long, sleepers)
}

// machineTable is what the figures depend on.
func (r *result) machineTable() string {
	m := r.Machine
	return fmt.Sprintf(`| | |
|---|---|
| processor | %s, %d cores |
| memory | %s |
| kernel | %s |
| system | %s |
| this program | %s, built with %s |
| C program | %s |
| iperf3 | %s |
| pasta | %s |
| wrk, nginx | %s, %s |
`, m.CPU, m.Cores, m.Memory, m.Kernel, m.System, m.Ours, m.Go, m.C, m.Iperf3, m.Pasta, m.Wrk, m.Nginx)
}
