package lab

import (
	"os"
	"path/filepath"
	"time"
)

// BESS is a running slirp4netns --target-type=bess.
type BESS struct {
	*Slirp
	Path string // of its socket
}

// StartBESS starts one, with o's options and without a target. It returns its
// first peer as well, without which it would not be ready.
func StartBESS(t T, o SlirpOptions) (*BESS, *os.File) {
	t.Helper()
	path := filepath.Join(TempDir(t, o.UID), "bess.sock")
	first := make(chan *os.File, 1)
	go func() { first <- DialWhenThere(path) }()
	o.Args = append(o.Args[:len(o.Args):len(o.Args)], "--target-type=bess", path)
	b := &BESS{StartSlirp(t, o), path}
	file := <-first
	if file == nil {
		t.Fatalf("%s cannot be connected to", path)
	}
	t.Cleanup(func() { file.Close() })
	return b, file
}

// DialWhenThere is DialFrames for a socket that is about to be made, as the
// starters of User Mode Linux wait for it. It is nil when that takes too long.
func DialWhenThere(path string) *os.File {
	for deadline := time.Now().Add(readyTimeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if file, err := DialFrames(path); err == nil {
			return file
		}
	}
	return nil
}

// Peer connects another one.
func (b *BESS) Peer(t T) *os.File {
	t.Helper()
	file, err := DialFrames(b.Path)
	if err != nil {
		t.Fatalf("%s: %v", b.Path, err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}
