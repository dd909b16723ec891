package child

import (
	"fmt"
	"net"
	"strings"
)

// maxNumbered bounds the numbers that a template is tried with.
const maxNumbered = 1024

// freeName completes a template as the kernel does: with the lowest number
// that no interface of the calling thread's network namespace has. No template
// at all means "tap%d".
func freeName(template string) (string, error) {
	if template == "" {
		template = "tap%d"
	}
	before, after, ok := strings.Cut(template, "%d")
	if !ok || strings.Contains(before+after, "%") {
		return "", fmt.Errorf("interface name %q: want one %%d at most", template)
	}
	all, err := net.Interfaces()
	if err != nil {
		return "", fmt.Errorf("listing interfaces: %w", err)
	}
	taken := map[string]bool{}
	for _, i := range all {
		taken[i.Name] = true
	}
	for n := range maxNumbered {
		if name := fmt.Sprintf("%s%d%s", before, n, after); !taken[name] {
			return name, nil
		}
	}
	return "", fmt.Errorf("interface name %q: the first %d are taken", template, maxNumbered)
}
