// Package datagram sends UDP datagrams and ICMP messages to the guest.
//
// netstack is not asked: its UDP endpoints would need one endpoint for each
// foreign address that the guest talks to, and its ICMP errors come from its
// own address only. Here every field is the caller's, which is what an honest
// relay of somebody else's packet needs: source, TTL, type of service, the
// offender of an error.
//
// Sources: RFC 768 (UDP), RFC 791 (IPv4, fragmentation), RFC 792 and RFC 1191
// (ICMP errors), RFC 8200 (IPv6), RFC 4443 (ICMPv6).
//
// Who calls it: outbound, dns. What it must not do: hold state.
package datagram
