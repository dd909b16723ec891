package dhcp6

import (
	"bytes"
	"net/netip"
	"testing"
)

var testServer = New([6]byte{0x52, 0x56, 0, 0, 0, 2}, netip.MustParseAddr("fd00::3"))

const (
	ourID = "\x00\x02\x00\x0a\x00\x03\x00\x01\x52\x56\x00\x00\x00\x02"
	dns   = "\x00\x17\x00\x10\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03"
	myID  = "\x00\x01\x00\x04\xaa\xbb\xcc\xdd"
)

func TestAnswer(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"with everything", "\x0b123" + myID + "\x00\x06\x00\x02\x00\x17" + "\x00\x08\x00\x02\x00\x00", "\x07123" + myID + ourID + dns},
		{"anonymous", "\x0bxyz", "\x07xyz" + ourID + dns},
		{"to us by name", "\x0b123" + ourID + myID, "\x07123" + myID + ourID + dns},
		{"to another server", "\x0b123" + "\x00\x02\x00\x01x", ""},
		{"for an address", "\x0b123" + myID + "\x00\x03\x00\x00", ""},
		{"for a prefix", "\x0b123" + myID + "\x00\x19\x00\x00", ""},
		{"two clients", "\x0b123" + myID + myID, ""},
		{"no client", "\x0b123" + "\x00\x01\x00\x00", ""},
		{"Solicit", "\x01123" + myID, ""},
		{"Reply", "\x07123" + myID, ""},
		{"a relay's", "\x0c\x00", ""},
		{"empty", "", ""},
		{"short header", "\x0b12", ""},
		{"short option", "\x0b123\x00\x01\x00", ""},
		{"long option", "\x0b123\x00\x01\x00\x05abcd", ""},
	} {
		if got := testServer.Answer([]byte(c.in)); string(got) != c.want {
			t.Errorf("%s: answer %q, want %q", c.name, got, c.want)
		}
	}
}

// With --disable-dns there is an answer all the same, so that nobody waits.
func TestAnswerWithoutNameserver(t *testing.T) {
	r := New([6]byte{0x52, 0x56, 0, 0, 0, 2}, netip.Addr{})
	if got, want := string(r.Answer([]byte("\x0b123"))), "\x07123"+ourID; got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
}

// FuzzAnswer: nothing that the guest sends makes us panic, and an answer is no
// larger than what it answers and our own options.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x0b123" + myID + ourID))
	f.Add([]byte("\x0b123\x00\x01\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := testServer.Answer(b)
		if len(got) > len(b)+len(ourID)+len(dns) {
			t.Fatalf("%d bytes for %d", len(got), len(b))
		}
		if got != nil && !bytes.Equal(got[1:4], b[1:4]) {
			t.Fatal("another transaction")
		}
	})
}
