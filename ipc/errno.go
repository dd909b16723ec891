package ipc

import (
	"errors"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// UserText is err as the user reads it. Callers of the C program match on
// lines such as "open("/dev/net/tun"): Permission denied", so that an errno at
// the end starts with a capital letter, as in strerror(3).
func UserText(err error) string {
	text := err.Error()
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return text
	}
	head, ok := strings.CutSuffix(text, errno.Error())
	if !ok {
		return text
	}
	r, n := utf8.DecodeRuneInString(errno.Error())
	return head + string(unicode.ToUpper(r)) + errno.Error()[n:]
}
