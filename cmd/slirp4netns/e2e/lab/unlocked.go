package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// lookTime is how often process 1 looks for data planes. One that no test waits
// for may be gone by then.
const lookTime = 25 * time.Millisecond

// childLine is all that the command line of slirp4netns' own child has. It may be
// started where no_new_privs is set already.
const childLine = "slirp4netns: child"

// lookout is process 1's eye on data planes of ours that run without the locks
// which [LockedEnv] promises, whoever started them: a script, a shell, a caller
// with options of its own.
type lookout struct {
	mu   sync.Mutex
	seen []string // command lines
}

// watch looks for as long as the lab is there.
func (l *lookout) watch() {
	for range time.Tick(lookTime) {
		l.look()
	}
}

// look looks once, at what the kernel says of each process of the lab.
func (l *lookout) look() {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if name, err := os.ReadFile(dir + "/comm"); err != nil || !strings.HasPrefix(string(name), watched()) {
			continue
		}
		if line := unlocked(dir); line != "" {
			l.mu.Lock()
			if !slices.Contains(l.seen, line) {
				l.seen = append(l.seen, line)
			}
			l.mu.Unlock()
		}
	}
}

// unlocked is the command line of the process in a directory of /proc, if it is
// a data plane of ours that was not told to be locked; else "". A data plane is
// who has given up what it does not need: no_new_privs is the last of that.
func unlocked(dir string) string {
	status, err := os.ReadFile(dir + "/status")
	if err != nil || !strings.Contains(string(status), "\nNoNewPrivs:\t1\n") {
		return ""
	}
	b, err := os.ReadFile(dir + "/cmdline")
	args := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	if err != nil || args[0] == "" || args[0] == Reference || args[0] == childLine {
		return ""
	}
	line := strings.Join(args, " ")
	for _, lock := range Locks() {
		if !slices.Contains(args, lock) && !excused(line, lock) {
			return line
		}
	}
	return ""
}

// excuses are the locks that a data plane may lack, and why.
var excuses = []struct {
	lock string
	line *regexp.Regexp // its command line
}{
	// RootlessKit refuses the sandbox with --detach-netns.
	{"--enable-sandbox", regexp.MustCompile(`/\.s4nn\.sock --enable-seccomp .*--netns-type=path /`)},
	// There is no door for i386, which has no rules for the filter either.
	{"--enable-sandbox", regexp.MustCompile(`/slirp4netns-386 .*--enable-seccomp --netns-type=tapfd `)},
}

func excused(line, lock string) bool {
	for _, e := range excuses {
		if e.lock == lock && e.line.MatchString(line) {
			return true
		}
	}
	return false
}

// check is the last look. It returns the status, or 1 where that would hide what
// was seen.
func (l *lookout) check(status int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.seen {
		fmt.Fprintln(os.Stderr, "lab: started without both locks:", line)
	}
	if len(l.seen) > 0 {
		return max(status, 1)
	}
	return status
}
