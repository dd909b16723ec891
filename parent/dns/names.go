package dns

import (
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// namesTTL is the lifetime in seconds of what is answered here. The
	// gateway keeps its address for as long as the guest has it.
	namesTTL = 60
	// namesPayload is the EDNS payload size in bytes that such an answer
	// states (RFC 6891, section 6.2.3).
	namesPayload = 1232
)

// Names are those that are answered here, with the gateway's addresses:
// --host-name. A nil Names answers none.
type Names struct {
	names map[string]bool // in lower case, with a dot at the end
	addr4 dnsmessage.AResource
	addr6 dnsmessage.AAAAResource
	has6  bool
}

// NewNames makes the Names of addrs, of which the first of each family counts.
// It is nil when there are no names.
func NewNames(names []string, addrs ...netip.Addr) *Names {
	if len(names) == 0 {
		return nil
	}
	n := &Names{names: make(map[string]bool)}
	for _, s := range names {
		n.names[strings.ToLower(strings.TrimSuffix(s, "."))+"."] = true
	}
	for _, a := range addrs {
		switch {
		case a.Is4():
			n.addr4.A = a.As4()
		case a.Is6() && !n.has6:
			n.addr6.AAAA, n.has6 = a.As16(), true
		}
	}
	return n
}

// Answer answers a query for one of the names. For types other than addresses
// there is no data, which is not an error. It reports false when the query is
// not for us.
func (n *Names) Answer(query []byte) ([]byte, bool) {
	if n == nil {
		return nil, false
	}
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil || h.Response || h.OpCode != 0 {
		return nil, false
	}
	q, err := p.Question()
	if err != nil || q.Class != dnsmessage.ClassINET || !n.names[strings.ToLower(q.Name.String())] {
		return nil, false
	}
	if _, err := p.Question(); err != dnsmessage.ErrSectionDone {
		return nil, false // nobody asks two questions
	}
	answer, err := n.build(h, q, hasOPT(&p))
	return answer, err == nil
}

// hasOPT tells whether a query uses EDNS. The questions have been read.
func hasOPT(p *dnsmessage.Parser) bool {
	if p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return false
	}
	for {
		h, err := p.AdditionalHeader()
		if err != nil {
			return false
		}
		if h.Type == dnsmessage.TypeOPT {
			return true
		}
		if p.SkipAdditional() != nil {
			return false
		}
	}
}

// build makes the answer.
func (n *Names) build(h dnsmessage.Header, q dnsmessage.Question, edns bool) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{
		ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired,
		RecursionAvailable: true, CheckingDisabled: h.CheckingDisabled,
	})
	b.EnableCompression()
	rr := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: namesTTL}
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(q); err != nil {
		return nil, err
	}
	if err := b.StartAnswers(); err != nil {
		return nil, err
	}
	if q.Type == dnsmessage.TypeA || q.Type == dnsmessage.TypeALL {
		if err := b.AResource(rr, n.addr4); err != nil {
			return nil, err
		}
	}
	if n.has6 && (q.Type == dnsmessage.TypeAAAA || q.Type == dnsmessage.TypeALL) {
		if err := b.AAAAResource(rr, n.addr6); err != nil {
			return nil, err
		}
	}
	if edns {
		if err := b.StartAdditionals(); err != nil {
			return nil, err
		}
		var opt dnsmessage.ResourceHeader
		if err := opt.SetEDNS0(namesPayload, dnsmessage.RCodeSuccess, false); err != nil {
			return nil, err
		}
		if err := b.OPTResource(opt, dnsmessage.OPTResource{}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}
