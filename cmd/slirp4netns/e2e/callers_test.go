package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// caller is an environment in which programs that start slirp4netns find ours,
// and a note of how they start it. What they keep is in a directory of its own.
type caller struct {
	t   *testing.T
	dir string
	log string // a line for each start: the PID and the arguments
	env []string
}

// newCaller makes one for an ordinary user with subordinate users. Each call of
// slirp4netns that is not in docs/compatibility.md fails the test at its end.
func newCaller(t *testing.T, uid int) *caller {
	t.Helper()
	lab.NeedUsers(t)
	lab.RequireBinary(t)
	c := &caller{t: t, dir: lab.TempDir(t, uid)}
	c.log = filepath.Join(c.dir, "starts")
	bin := filepath.Join(c.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := lab.Give(c.log, uid); err != nil {
		t.Fatal(err)
	}
	// A caller that passes one of the locks has decided about both; who only asks
	// is not answered with a warning.
	text := fmt.Sprintf(`#!/bin/sh
printf '%%s\n' "$$ $*" >>%[1]s
case " $* " in
*" --enable-s"* | *" --help "* | *" --version "*) exec %[2]s "$@" ;;
*) exec %[2]s %[3]s "$@" ;;
esac
`, c.log, lab.Binary, strings.Join(lab.Locks(), " "))
	if err := lab.WriteExecutable(filepath.Join(bin, "slirp4netns"), text); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checkCompatibility(t, c.starts()) })
	return c
}

// in gives a command of the lab the environment.
func (c *caller) in(cmd *exec.Cmd) *exec.Cmd {
	path := ""
	for _, e := range cmd.Env {
		if p, ok := strings.CutPrefix(e, "PATH="); ok {
			path = p
		}
	}
	cmd.Env = append(cmd.Env, "PATH="+c.dir+"/bin:"+path, "HOME="+c.dir, "XDG_RUNTIME_DIR="+c.dir, "TMPDIR="+c.dir)
	cmd.Env = append(cmd.Env, c.env...)
	return cmd
}

// start is one start of slirp4netns.
type start struct {
	pid  int
	args string
}

// starts are all so far that were to connect something.
func (c *caller) starts() (all []start) {
	c.t.Helper()
	b, err := os.ReadFile(c.log)
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		pid, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.Atoi(pid); err != nil {
			c.t.Fatalf("%s: %q", c.log, line)
		} else if args != "--help" && args != "--version" {
			all = append(all, start{n, args})
		}
	}
	return all
}

// last is the latest of them.
func (c *caller) last() start {
	c.t.Helper()
	all := c.starts()
	if len(all) == 0 {
		c.t.Fatal("no slirp4netns was started")
	}
	return all[len(all)-1]
}

// socket is the path of its control socket, "" for none.
func (s start) socket() string {
	_, path, _ := strings.Cut(s.args, "--api-socket ")
	path, _, _ = strings.Cut(path, " ")
	return path
}

// running tells whether it is there.
func (s start) running() bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

// checkNothingLeft wants the process, its socket and the ports to be gone.
func (c *caller) checkNothingLeft(s start, ports ...int) {
	c.t.Helper()
	await(c.t, "slirp4netns has ended", func() bool { return !s.running() })
	if path := s.socket(); path != "" && !gone(path) {
		c.t.Errorf("%s is left", path)
	}
	for _, port := range ports {
		if out := onHost(c.t, "ss", "-Hlntu", fmt.Sprintf("sport = :%d", port)); out != "" {
			c.t.Errorf("port %d is left: %s", port, out)
		}
	}
	var sockets []string
	filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".net") {
			sockets = append(sockets, path)
		}
		return nil
	})
	if sockets != nil {
		c.t.Errorf("left: %v", sockets)
	}
}

// names are what differs from start to start, and how the document calls it.
var names = []struct {
	is     *regexp.Regexp
	called string
}{
	{regexp.MustCompile(`--api-socket \S+`), "--api-socket SOCKET"},
	{regexp.MustCompile(`--netns-type=path [^- ]\S*`), "--netns-type=path PATH"},
	{regexp.MustCompile(`--userns-path=\S+`), "--userns-path=PATH"},
	{regexp.MustCompile(` \d+ tap0$`), " PID tap0"},
	{regexp.MustCompile(` /\S+ tap0$`), " PATH tap0"},
	{regexp.MustCompile(` -c -r 3 -e 4 `), " -c -e 3 -r 4 "}, // Podman 5
	{regexp.MustCompile(`--target-type=bess \S+`), "--target-type=bess PATH"},
	// Of those that are connected.
	{regexp.MustCompile(`^nsenter -t \d+ `), "nsenter -t PID "},
	{regexp.MustCompile(`dst=[^, ]+`), "dst=PATH"},
	{regexp.MustCompile(`rootflags=\S+`), "rootflags=PATH"},
	{regexp.MustCompile(`--ro-bind \S+ /etc/resolv.conf`), "--ro-bind PATH /etc/resolv.conf"},
}

// checkCompatibility wants the document to know each command line.
func checkCompatibility(t *testing.T, starts []start) {
	t.Helper()
	for _, s := range starts {
		checkDocumented(t, "slirp4netns "+s.args)
	}
}

// checkDocumented wants docs/compatibility.md to know a command line.
func checkDocumented(t *testing.T, line string) {
	t.Helper()
	b, err := os.ReadFile("../../../docs/compatibility.md")
	if err != nil {
		t.Error(err)
	}
	for _, n := range names {
		line = n.is.ReplaceAllString(line, n.called)
	}
	if !strings.Contains(string(b), "`"+line+"`") {
		t.Errorf("docs/compatibility.md does not know `%s`", line)
	}
}

// checkSlirpDocumented wants it to know how the lab has called slirp4netns.
func checkSlirpDocumented(t *testing.T, s *lab.Slirp) {
	t.Helper()
	checkDocumented(t, "slirp4netns "+strings.Join(s.Args, " "))
}
