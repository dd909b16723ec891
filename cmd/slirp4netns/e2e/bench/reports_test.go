package main

import (
	"errors"
	"testing"
)

func TestReadWrk(t *testing.T) {
	const good = "  1600 requests in 1.00s, 200KB read\nRequests/sec:   1599.50\nTransfer/sec:  1.0MB\n"
	for out, want := range map[string]float64{
		good: 1599.5,
		"  Socket errors: connect 0, read 3, write 0, timeout 0\n" + good: 0,
		"  Socket errors: connect 0, read 0, write 0, timeout 1\n" + good: 0,
		"  Non-2xx or 3xx responses: 7\n" + good:                          0,
		"Requests/sec:      0.00\n":                                       0,
		"unable to connect to 10.0.2.2:5380 Connection refused\n":         0,
	} {
		if rate, err := readWrk([]byte(out)); rate != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %v, %v, want %v", out, rate, err, want)
		}
	}
}

func TestReadReport(t *testing.T) {
	for _, c := range []struct {
		out        string
		good, busy bool
	}{
		{`{"start":{"connected":[{}]},"end":{"sum_received":{"bytes":9,"bits_per_second":8}}}`, true, false},
		{`{"start":{"connected":[{}]},"end":{"sum":{"seconds":1,"packets":9,"lost_packets":8}}}`, true, false},
		{`{"start":{"connected":[{}]},"end":{"sum":{"seconds":1,"packets":9,"lost_packets":9}}}`, false, false},
		{`{"start":{"connected":[{}]},"end":{}}`, false, false},
		{`{"start":{"connected":[{}]},"end":{"sum_received":{"bits_per_second":8}},"error":"control socket has closed"}`, false, false},
		{`{"start":{"connected":[]},"end":{},"error":"unable to connect to server: Connection refused"}`, false, false},
		{`{"start":{"connected":[]},"end":{},"error":"the server is busy running a test. try again later"}`, false, true},
		{`{"start":{"connected":[]},"end":{}}`, false, true},
		{`iperf3: nothing`, false, false},
		{``, false, false},
	} {
		if _, err := readReport([]byte(c.out)); (err == nil) != c.good || errors.Is(err, errTurnedAway) != c.busy {
			t.Errorf("%s: %v", c.out, err)
		}
	}
}

func TestListens(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1451 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1452 0100007F:1453 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
`
	for port, want := range map[int]bool{0x1451: true, 0x1452: false, 0x1453: false, 0: false} {
		if got := listens(table, port); got != want {
			t.Errorf("port %#x: %v", port, got)
		}
	}
}
