package main

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// answering is a socket whose requests are answered so, until the test's end;
// nil is no answer.
func answering(t *testing.T, answer func(n int, request []byte) []byte) int {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1024)
		for i := 0; ; i++ {
			n, err := unix.Read(pair[1], buf)
			if err != nil || n == 0 {
				return
			}
			if a := answer(i, buf[:n]); a != nil {
				unix.Write(pair[1], a)
			}
		}
	}()
	t.Cleanup(func() {
		unix.Shutdown(pair[0], unix.SHUT_RDWR)
		<-done
		unix.Close(pair[0])
		unix.Close(pair[1])
	})
	return pair[0]
}

// An answer that is missing on one of the sockets, or wrong, is an error,
// however many come on the others.
func TestPingPongOfNames(t *testing.T) {
	right := func(_ int, query []byte) []byte { return answerName(query) }
	for name, c := range map[string]struct {
		answer func(int, []byte) []byte
		want   string
	}{
		"right": {right, ""},
		"none": {func(i int, q []byte) []byte {
			if i == 2 {
				return nil
			}
			return answerName(q)
		}, "1 of 2 requests"},
		"another's": {func(i int, q []byte) []byte {
			if i == 2 {
				q[0]++
			}
			return answerName(q)
		}, "no answer to DNS query"},
		"failure": {func(i int, q []byte) []byte {
			a := answerName(q)
			if i == 2 {
				a[3] |= 2 // SERVFAIL
			}
			return a
		}, "without the address"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := pingPong([]int{answering(t, right), answering(t, c.answer)}, names, 50*time.Millisecond)
			if c.want == "" && (err != nil || e.rate <= 0) {
				t.Errorf("%+v, %v", e, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// What may be lost is sent again, and what comes back wrong does not count.
func TestPingPongOfDatagrams(t *testing.T) {
	fd := answering(t, func(i int, request []byte) []byte {
		switch i {
		case 0:
			return nil
		case 1:
			return request[:10]
		}
		return request
	})
	if e, err := pingPong([]int{fd}, lossyEcho, time.Second); err != nil || e.rate <= 0 {
		t.Errorf("%+v, %v", e, err)
	}
}
