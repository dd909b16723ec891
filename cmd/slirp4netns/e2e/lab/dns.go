package lab

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// Names that the lab's resolver knows. All others do not exist (NXDOMAIN).
const (
	// Domain has the addresses of inet.
	Domain = "lab.test"
	// BigDomain has a TXT record of [BigTXT] bytes, too many for UDP: the
	// answer is truncated, and complete over TCP.
	BigDomain = "big.lab.test"
)

// BigTXT is the length in bytes of the text of BigDomain.
const BigTXT = 4000

// ttl is the lifetime of all records, in seconds.
const ttl = 60

// serveDNS answers at port 53 of the addresses, over UDP and TCP.
func serveDNS(addrs ...netip.Addr) error {
	for _, a := range addrs {
		at := netip.AddrPortFrom(a, DNSPort)
		pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return err
		}
		l, err := listenTCP(a, DNSPort)
		if err != nil {
			return err
		}
		go (&dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(answer)}).ActivateAndServe()
		go (&dns.Server{Listener: l, Handler: dns.HandlerFunc(answer)}).ActivateAndServe()
	}
	return nil
}

// answer is the lab's whole zone.
func answer(w dns.ResponseWriter, q *dns.Msg) {
	r := new(dns.Msg)
	r.SetReply(q)
	r.Authoritative = true
	if len(q.Question) != 1 {
		r.Rcode = dns.RcodeFormatError
		w.WriteMsg(r)
		return
	}
	name, qtype := q.Question[0].Name, q.Question[0].Qtype
	header := dns.RR_Header{Name: name, Rrtype: qtype, Class: dns.ClassINET, Ttl: ttl}
	switch strings.ToLower(name) {
	case dns.Fqdn(Domain):
		switch qtype {
		case dns.TypeA:
			r.Answer = append(r.Answer, &dns.A{Hdr: header, A: InetAddr4.AsSlice()})
		case dns.TypeAAAA:
			r.Answer = append(r.Answer, &dns.AAAA{Hdr: header, AAAA: InetAddr6.AsSlice()})
		}
	case dns.Fqdn(BigDomain):
		if qtype == dns.TypeTXT {
			r.Answer = append(r.Answer, &dns.TXT{Hdr: header, Txt: bigText()})
		}
	default:
		r.Rcode = dns.RcodeNameError
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = max(size, int(opt.UDPSize()))
		}
		r.Truncate(size)
	}
	if err := w.WriteMsg(r); err != nil {
		fmt.Println("lab: dns:", err)
	}
}

// bigText is BigTXT bytes in strings of at most 255, as RFC 1035 wants.
func bigText() []string {
	const most = 250
	var parts []string
	for left := BigTXT; left > 0; left -= most {
		parts = append(parts, strings.Repeat("x", min(left, most)))
	}
	return parts
}
