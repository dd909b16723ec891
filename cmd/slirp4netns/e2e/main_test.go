package e2e

import (
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// Time limits of single commands and of a gigabyte.
const (
	commandTimeout  = 15 * time.Second
	transferTimeout = 2 * time.Minute
)
