// Package ndp is the router that the guest sees on its link when it speaks
// IPv6: it answers neighbour solicitations for our addresses, and advertises
// the prefix, the route and the nameserver.
//
// Theory of operation. netstack does neighbour discovery of its own, but with
// promiscuous mode and spoofing on it would claim every address, the guest's
// own included, which the guest would take for a duplicate. So none of these
// messages reaches it; they come here from the link. Nobody is ever asked for
// an Ethernet address: the link learns them from what the guest sends.
//
// Messages are built and taken apart here, since there are four of them:
//
//	guest                                     us
//	  │── router solicitation (ff02::2) ──────▶│  also without, every 200-600 s
//	  │◀───────────── router advertisement ────│
//	  │── neighbour solicitation (fe80::2) ───▶│  for our addresses only
//	  │◀────────── neighbour advertisement ────│
//
// Sources: RFC 4861 (neighbour discovery), RFC 4862 (what the guest makes of
// the prefix), RFC 8106 (nameserver), RFC 6980 (never in fragments: the link
// sees to that).
//
// Who calls it: dataplane. What it must not do: configure the guest, send
// solicitations, believe anybody's advertisements.
package ndp
