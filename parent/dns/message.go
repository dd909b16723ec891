package dns

import "encoding/binary"

// headerSize is the size in bytes of a message's header (RFC 1035, section
// 4.1.1): ID, flags, and four counts.
const headerSize = 12

// Response codes of RFC 1035, section 4.1.1 after which the C library asks the
// next nameserver.
const (
	rcodeServFail = 2
	rcodeNotImp   = 4
	rcodeRefused  = 5
)

// messageID is what an answer repeats. The message has a header.
func messageID(b []byte) uint16 { return binary.BigEndian.Uint16(b) }

// isQuery and isAnswer tell what a message is; one without a whole header is
// neither.
func isQuery(b []byte) bool  { return len(b) >= headerSize && b[2]&0x80 == 0 }
func isAnswer(b []byte) bool { return len(b) >= headerSize && b[2]&0x80 != 0 }

// hasNoAnswer tells of an answer by which a resolver says that it has none to
// give. That a name does not exist is one.
func hasNoAnswer(b []byte) bool {
	switch b[3] & 0xf {
	case rcodeServFail, rcodeNotImp, rcodeRefused:
		return true
	}
	return false
}
