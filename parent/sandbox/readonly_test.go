package sandbox

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRemountAll: a mount that the host has unmounted meanwhile, or where we
// cannot go, is passed over; whatever else is refused is an error.
func TestRemountAll(t *testing.T) {
	const path, sub, last = "/run", "/run/sub", "/run/last"
	for name, c := range map[string]struct {
		refused string // the mount
		err     error
		gone    bool // when it is looked at again
		want    error
	}{
		"nothing":                {},
		"unmounted":              {sub, unix.EINVAL, true, nil},
		"unmounted and removed":  {sub, unix.ENOENT, true, nil},
		"still there":            {sub, unix.EINVAL, false, unix.EINVAL},
		"still there, forbidden": {sub, unix.EPERM, false, unix.EPERM},
		"out of reach":           {sub, unix.EACCES, false, nil},
		"all of it":              {path, unix.EINVAL, true, unix.EINVAL},
		"all of it, forbidden":   {path, unix.EACCES, false, unix.EACCES},
	} {
		t.Run(name, func(t *testing.T) {
			var done []string
			looked := 0
			err := remountAll(path, func(string) ([]string, error) {
				if looked++; looked > 1 && c.gone {
					return []string{last}, nil
				}
				return []string{path, sub, last}, nil
			}, func(point string) error {
				if point == c.refused {
					return c.err
				}
				done = append(done, point)
				return nil
			})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err == nil && !slices.Contains(done, last) {
				t.Errorf("%s was left as it is: %q", last, done)
			}
		})
	}
}
