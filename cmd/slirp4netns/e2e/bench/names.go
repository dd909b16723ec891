package main

import (
	"os"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// resolver is the nameserver of the host while the benchmark runs, in place
// of the lab's, which would be what is measured.
const resolver = "127.0.0.53"

// query is one for the A record of "lab.test" (RFC 1035, section 4).
var query = []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03lab\x04test\x00\x00\x01\x00\x01")

// answerTail is a record for the question's name: 198.51.100.2.
const answerTail = "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x33\x64\x02"

// serveNames answers each query with the same record, on one thread.
func (b *bench) serveNames() error {
	if err := os.WriteFile("/etc/resolv.conf", []byte("nameserver "+resolver+"\n"), 0o644); err != nil {
		return err
	}
	return serveDatagrams(lab.Host, resolver, 53, func(query []byte) []byte {
		if len(query) < 12 {
			return nil
		}
		query[2], query[3] = 0x81, 0x80 // an answer, recursion available
		query[7] = 1                    // one record
		return append(query, answerTail...)
	})
}

// nameQueries is how many queries through 10.0.2.3 are answered in a second.
func nameQueries(b *bench, s *subject) [][]float64 {
	var e exchanges
	b.inside(s, func(*place) (err error) {
		e, err = datagrams("10.0.2.3", 53, parallel, query, b)
		return err
	})
	return [][]float64{{e.rate}}
}
