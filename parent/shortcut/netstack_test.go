package shortcut

import "testing"

// netstack is as this package knows it: the functions that it links to exist,
// or the test would not link, and the fields are there.
func TestNetstack(t *testing.T) {
	if _, err := findFields(); err != nil {
		t.Error(err)
	}
}
