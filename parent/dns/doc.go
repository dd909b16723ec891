// Package dns relays queries to the host's resolvers: the nameserver that the
// guest sees at network+3, over UDP and TCP.
//
// Theory of operation. It is a relay of messages, not a DNS server: queries
// and answers pass unchanged, so that extensions (EDNS, DNSSEC) just work. Of
// a message no more is looked at than its header, and of a query the question
// if there are names that are answered here (--host-name).
//
// Each guest address and port has sockets of its own, bound to random ports
// and connected to one resolver each, so the kernel drops answers from anybody
// else (RFC 5452, section 9). An answer is passed on if a query of that port
// waits for its ID.
//
// Fail-over. A query goes to the first resolver that works. If there is no
// answer in time it goes to the next as well, and the first answer counts. A
// resolver that has answered nothing since is down: other queries pass it by,
// so that it costs one time-out and not one for each query. Now and then a
// query is sent to it in addition, and any answer makes it good again. An ICMP
// error, or an answer that the resolver has none (SERVFAIL, REFUSED), sends
// the query on at once, as the C library does with several nameserver lines.
//
//	query ──▶ waiting ──answer──▶ passed on
//	            │ ▲
//	 time-out, error: next resolver
//	            │
//	            ▼
//	          last ── answer ──▶ passed on
//	            └── nothing: forgotten; all refused: ICMP error
//
// Over TCP each connection of the guest has one to a resolver, which is made
// before the guest's SYN is answered, so that the guest is refused when we are.
// Where names are answered here the SYN is answered at once. Queries fail over
// one by one, as over UDP: that a connection is accepted is no answer. Who is
// late keeps its connection until somebody has answered, and then loses it, so
// that the guest has one answer. A query is kept until then, within bounds; one
// that is too much to be kept has the first resolver's answer or none.
//
// resolv.conf(5) is followed as it changes: by path, never by an open file, so
// that renames and other mounts are seen. Queries that wait, and connections
// that are being made, begin anew with the resolvers that there are then.
//
// Who calls it: dataplane; outbound through functions that it is given. What
// it must not do: cache or rewrite; keep what is not bounded.
package dns
