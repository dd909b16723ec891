package e2e

import (
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// logged is what a program says on stderr about a request, as far as it is about
// that.
func logged(t *testing.T, binary, request string) string {
	t.Helper()
	_, s, path := controlledBy(t, binary)
	before := len(s.Log())
	askAPI(t, path, request)
	eventually(func() bool { return strings.Contains(s.Log()[before:], "got request: ") }, false)
	s.Stop()
	said, _, _ := strings.Cut(s.Log()[before:], "exitfd event\n")
	if i := strings.Index(said, "apifd event\n"); i > 0 {
		said = said[i:] // the C program's stdout comes late
	}
	return said
}

// Each request is told on stderr, as by the C program. What would be a line of
// its own there, or move the terminal's cursor, is a space.
func TestAPILog(t *testing.T) {
	const list = `{"execute":"list_hostfwd"}`
	for request, want := range map[string][2]string{
		list:                        {list, list},
		`no request`:                {`no request`, `no request`},
		list + "\n":                 {list, list + "\n"},
		"a\nb\r\x1b[2Jc\u009bd\x7f": {"a b  [2Jc d ", "a\nb\r\x1b[2Jc\u009bd\x7f"},
		"\xff\xfe":                  {"\ufffd\ufffd", "\xff\xfe"},
	} {
		for i, binary := range []string{"", lab.Reference} {
			want := "apifd event\napi_handler: got request: " + want[i] + "\n"
			if got := logged(t, binary, request); got != want {
				t.Errorf("%s %q: %q, want %q", binary, request, got, want)
			}
		}
	}
}
