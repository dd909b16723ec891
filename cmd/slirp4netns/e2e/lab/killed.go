package lab

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// accountFile is where the kernel writes how each process of the lab ended,
// whoever its parent was: acct(2), which has a file for each PID namespace.
const accountFile = runDir + "/acct"

// startAccounting has the kernel do so. It takes CAP_SYS_PACCT outside, which
// an ordinary user has not, and a kernel with CONFIG_BSD_PROCESS_ACCT. Without,
// process 1 learns of orphans only, and of others their parents.
func startAccounting() error {
	if err := os.WriteFile(accountFile, nil, 0o600); err != nil {
		return err
	}
	err := unix.Acct(accountFile)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		if Locked() {
			fmt.Fprintf(os.Stderr, "lab: no process accounting (acct: %v): a seccomp filter's kill is seen by its parent, and here when that has ended\n", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("acct: %w", err)
	}
	return nil
}

// account is what the kernel writes: struct acct_v3 of linux/acct.h, in the
// machine's byte order.
type account struct {
	Flag, Version       uint8
	TTY                 uint16
	Status              uint32 // as of wait(2)
	UID, GID, PID, PPID uint32
	Begin               uint32 // in seconds since 1970
	Elapsed             float32
	Used                [8]uint16
	Name                [16]byte
}

// WatchedEnv names the environment variable with how the names of those
// processes begin that no seccomp filter may kill, in place of "slirp". It is
// for tests that make a lab in the lab: outer accounts have the inner ones' too.
const WatchedEnv = "SLIRP_LAB_WATCHED"

// watched is that beginning.
func watched() string { return cmp.Or(os.Getenv(WatchedEnv), "slirp") }

// accountVersion is that of struct acct_v3, without the bit for big-endian.
const accountVersion = 3

// forbidden says which processes, of those that are watched, a seccomp filter
// has killed, wherever they were started from.
func forbidden() (killed []string, err error) {
	b, err := os.ReadFile(accountFile)
	if err != nil {
		return nil, err
	}
	for r := bytes.NewReader(b); r.Len() > 0; {
		var a account
		if err := binary.Read(r, binary.NativeEndian, &a); err != nil {
			return nil, fmt.Errorf("%s: %w", accountFile, err)
		}
		if a.Version&^0x80 != accountVersion {
			return nil, fmt.Errorf("%s: records of version %d, want %d (CONFIG_BSD_PROCESS_ACCT_V3)", accountFile, a.Version&^0x80, accountVersion)
		}
		name := string(bytes.TrimRight(a.Name[:], "\x00"))
		if forbade(syscall.WaitStatus(a.Status)) && strings.HasPrefix(name, watched()) {
			killed = append(killed, fmt.Sprintf("%s, PID %d, user %d, started at %s",
				name, a.PID, a.UID, time.Unix(int64(a.Begin), 0).Format(time.TimeOnly)))
		}
	}
	return killed, nil
}

// forbade tells whether the process was killed for a system call that its
// filter does not allow.
func forbade(ws syscall.WaitStatus) bool { return ws.Signaled() && ws.Signal() == unix.SIGSYS }

// checkForbidden is process 1's last look. It returns the program's status, or
// 1 where that would hide a kill.
func checkForbidden(status int, orphans []int) int {
	killed, err := forbidden()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab: accounting:", err)
		return max(status, 1)
	}
	if len(killed) == 0 {
		for _, pid := range orphans {
			killed = append(killed, fmt.Sprintf("PID %d, an orphan", pid))
		}
	}
	for _, k := range killed {
		fmt.Fprintln(os.Stderr, "lab: killed by its seccomp filter:", k)
	}
	if len(killed) > 0 {
		return max(status, 1)
	}
	return status
}
