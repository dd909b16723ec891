package ipc

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUserText(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("open(%q): %w", "/dev/net/tun", unix.EACCES), `open("/dev/net/tun"): Permission denied`},
		{fmt.Errorf("/proc/1/ns/net: %w", unix.ENOENT), "/proc/1/ns/net: No such file or directory"},
		{unix.EBUSY, "Device or resource busy"},
		{fmt.Errorf("%w, so no", unix.EBUSY), "device or resource busy, so no"},
		{errors.New("in lower case"), "in lower case"},
	} {
		if got := UserText(c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
