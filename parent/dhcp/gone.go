package dhcp

// Port is where a client is plugged in, as the link numbers it. A number is
// never used again.
type Port uint32

// Gone tells that nothing more comes from a Port. The leases of who was there
// stay theirs, for they may come back, until others would get none.
func (s *Server) Gone(port Port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, l := range s.pool.byAddr {
		if l.port == port && l.owner != (mac{}) && l.gone.IsZero() {
			l.gone = now
		}
	}
}

// spare is the lease that m can have when there is no other: that of who has
// been gone longest, and has not come back without asking us. It may be nil.
func (p *pool) spare(m mac) *lease {
	var longest *lease
	for _, l := range p.byAddr {
		if l.gone.IsZero() || p.foreign(l.addr, m) {
			continue
		}
		if longest == nil || l.gone.Before(longest.gone) || l.gone.Equal(longest.gone) && l.addr.Less(longest.addr) {
			longest = l
		}
	}
	return longest
}
