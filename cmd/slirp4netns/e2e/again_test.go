package e2e

import (
	"os"
	"sync"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// againPath is this test's binary where every user can run it. What it does
// then is up to environment variables: see the init functions of this package.
const againPath = "/run/lab/again"

var writeAgain = sync.OnceValue(func() error {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	return lab.WriteExecutable(againPath, string(program))
})

// again is that path.
func again(t *testing.T) string {
	t.Helper()
	if err := writeAgain(); err != nil {
		t.Fatal(err)
	}
	return againPath
}
