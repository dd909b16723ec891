// Package dns relays queries to the host's resolvers: the nameserver that the
// guest sees at network+3.
//
// It is a relay of datagrams, not a DNS server: queries and answers pass
// unread and unchanged, so that extensions (EDNS, DNSSEC) just work. Each
// guest address and port has a socket of its own, bound to a random port and
// connected to the resolver, so the kernel drops answers from anybody else
// (RFC 5452, section 9).
//
// resolv.conf(5) is followed as it changes. Queries over TCP are connections
// like any other; outbound asks here only where they go.
//
// Who calls it: dataplane. What it must not do: cache, rewrite, or judge.
package dns
