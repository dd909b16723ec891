package hostfwd

// Stats are the numbers of a Table. All but Open only ever grow.
type Stats struct {
	TCP, UDP Count
	// Refused are connections that the guest did not accept.
	Refused uint64
	// Evicted are UDP sessions that made room for others.
	Evicted uint64
	// NoPort are datagrams that the guest was not sent, as every port was
	// taken that their client could have had in its eyes.
	NoPort uint64
}

// Count is how many there are now and were since the start.
type Count struct {
	Open  int
	Total uint64
}

// Stats returns them.
func (t *Table) Stats() Stats {
	var s Stats
	s.TCP.Open, s.TCP.Total = t.tcp.counts()
	s.UDP = Count{Open: t.udp.table.Len(), Total: t.udp.total.Load()}
	s.Refused = t.tcp.failed.Load()
	s.Evicted, s.NoPort = t.udp.table.Evicted(), t.udp.noPort.Load()
	return s
}
