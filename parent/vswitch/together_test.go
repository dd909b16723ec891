package vswitch

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/sockfile"
)

// Frames of a peer that wait are handed to the stack in one piece: the link
// joins what belongs together.
func TestTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	file, err := sockfile.Listen("socket", unix.SOCK_SEQPACKET, path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(testConfig(), file.Take())
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t, dial(t, path), 1}
	defer p.leave()
	const frames = 5
	for range frames {
		p.send(link.OwnMACs(gateway, nameserver)[0], "for the stack")
	}
	counts := make(chan int, frames)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(func(f [][]byte, _ link.Port) { counts <- len(f) }, func(link.Port) {}) }()
	if n := <-counts; n != frames {
		t.Errorf("%d frames at once, want %d", n, frames)
	}
	s.Close()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}
