//go:build amd64 || arm || ppc64le || s390x

package seccomp

import "golang.org/x/sys/unix"

// oldNumbers are of calls that newer architectures have only in a later form.
var oldNumbers = map[string]uint32{
	"epoll_wait": unix.SYS_EPOLL_WAIT,
	"poll":       unix.SYS_POLL,
}
