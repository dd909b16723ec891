package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// resolver is the nameserver of the host while the benchmark runs, in place
// of the lab's, which would be what is measured.
const resolver = "127.0.0.53"

// query is one for the A record of "lab.test" (RFC 1035, section 4), without
// its ID.
const query = "\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03lab\x04test\x00\x00\x01\x00\x01"

// answerTail is a record for the question's name: 198.51.100.2.
const answerTail = "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x33\x64\x02"

// names asks for that record, each time with another ID.
var names = asking{
	request: func(n uint16) []byte { return append(binary.BigEndian.AppendUint16(nil, n), query...) },
	check: func(n uint16, answer []byte) error {
		switch {
		case len(answer) < 12 || binary.BigEndian.Uint16(answer) != n || answer[2]&0x80 == 0:
			return fmt.Errorf("no answer to DNS query %#x: % x", n, answer)
		case answer[3]&0xf != 0 || !bytes.HasSuffix(answer, []byte(answerTail)):
			return fmt.Errorf("DNS answer without the address: % x", answer)
		}
		return nil
	},
}

// serveNames answers each query with the same record, on one thread.
func (b *bench) serveNames() error {
	if err := os.WriteFile("/etc/resolv.conf", []byte("nameserver "+resolver+"\n"), 0o644); err != nil {
		return err
	}
	return serveDatagrams(lab.Host, resolver, 53, answerName)
}

// answerName is the answer to any query.
func answerName(query []byte) []byte {
	if len(query) < 12 {
		return nil
	}
	query[2], query[3] = 0x81, 0x80 // an answer, recursion available
	query[7] = 1                    // one record
	return append(query, answerTail...)
}

// nameQueries is how many queries through 10.0.2.3 are answered in a second;
// without a guest, by the resolver itself. All have to be, and rightly.
func nameQueries(b *bench, s *subject) [][]float64 {
	var e exchanges
	b.inside(s, func(at *place) (err error) {
		server := resolver
		if at.guest != nil {
			server = "10.0.2.3"
		}
		e, err = datagrams(server, 53, parallel, names, b)
		return err
	})
	return [][]float64{{e.rate}}
}
