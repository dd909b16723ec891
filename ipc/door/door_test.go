package door_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc/door"
)

// report is what testdata/probe prints.
type report struct {
	Linked   bool
	Stage    string
	StageErr string
	Asked    []string
	Errno    map[string]int
	PID      int
	Comm     string
	Env      []string
	FDs      []int
	NS       map[string]string
	UID      int
	Dumpable int
	Args     []string
	Bounding uint64
}

var (
	probesMu sync.Mutex
	probes   = map[string]string{}
	probeDir string
)

func TestMain(m *testing.M) {
	var err error
	probeDir, err = os.MkdirTemp("", "door")
	if err != nil {
		panic(err)
	}
	os.Chmod(probeDir, 0o755)
	code := m.Run()
	os.RemoveAll(probeDir)
	os.Exit(code)
}

// probe builds testdata/probe for arch, once, with more linker flags.
func probe(t *testing.T, arch string, flags ...string) string {
	t.Helper()
	probesMu.Lock()
	defer probesMu.Unlock()
	key := arch + strings.Join(flags, "")
	if p, ok := probes[key]; ok {
		return p
	}
	out := filepath.Join(probeDir, fmt.Sprintf("probe%d", len(probes)))
	args := append([]string{"build", "-trimpath", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, "./testdata/probe")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build for %s: %v\n%s", arch, err, b)
	}
	probes[key] = out
	return out
}

const linkDoor = "-ldflags=" + door.EntryFlag

// spawn runs argv through the door and decodes what the probe prints.
func spawn(t *testing.T, r door.Request, argv ...string) report {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p, err := door.Spawn(r, argv[0], argv, nil, []*os.File{nil, in, os.Stderr}, nil)
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(out)
	if st, killed := p.End(10 * time.Second); killed || st != 0 {
		t.Fatalf("%v: wait status %#x, killed: %v\n%s", argv, st, killed, b)
	}
	var got report
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, b)
	}
	return got
}

// run runs the probe without a marker.
func run(t *testing.T, cmd *exec.Cmd) report {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.Bytes())
	}
	var got report
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, b)
	}
	return got
}

// guest starts a process in user and network namespaces of its own.
func guest(t *testing.T) (pid int) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd.Process.Pid
}

func nsFile(t *testing.T, pid int, kind string) *os.File {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func nsName(t *testing.T, pid int, kind string) string {
	t.Helper()
	s, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var notRun = map[string]int{
	"prctl(PR_SET_DUMPABLE)": -1, "unshare(CLONE_NEWUSER)": -1, "setns(CLONE_NEWUSER)": -1,
	"prctl(PR_SET_DUMPABLE) inside the user namespace": -1,
	"setns(CLONE_NEWNET)":                              -1, "unshare(CLONE_NEWNS)": -1,
}

func TestNoMarker(t *testing.T) {
	got := run(t, exec.Command(probe(t, "amd64", linkDoor)))
	if !got.Linked || got.Stage != "" || got.StageErr != "" || !reflect.DeepEqual(got.Errno, notRun) || got.Dumpable != 1 {
		t.Errorf("without a marker: %+v", got)
	}
	for _, kind := range []string{"user", "net", "mnt"} {
		if want := nsName(t, os.Getpid(), kind); got.NS[kind] != want {
			t.Errorf("%s namespace %s, want the caller's %s", kind, got.NS[kind], want)
		}
	}
}

func TestEmptyEnvironment(t *testing.T) {
	cmd := exec.Command(probe(t, "amd64", linkDoor))
	cmd.Env = []string{}
	if got := run(t, cmd); !got.Linked || got.Stage != "" {
		t.Errorf("%+v", got)
	}
}

func TestSpawnJoins(t *testing.T) {
	pid := guest(t)
	got := spawn(t, door.Request{Stage: "test", UserNS: nsFile(t, pid, "user"), NetNS: nsFile(t, pid, "net")},
		probe(t, "amd64", linkDoor), "x")
	if got.Stage != "test" || got.UID != 0 || got.Dumpable != 0 {
		t.Errorf("stage %q, uid %d, dumpable %d", got.Stage, got.UID, got.Dumpable)
	}
	for kind, want := range map[string]string{
		"user": nsName(t, pid, "user"), "net": nsName(t, pid, "net"), "mnt": nsName(t, os.Getpid(), "mnt"),
	} {
		if got.NS[kind] != want {
			t.Errorf("%s namespace %s, want %s", kind, got.NS[kind], want)
		}
	}
	if len(got.Env) != 0 {
		t.Errorf("environment %q, want it empty", got.Env)
	}
	// The runtime puts /dev/null where 0 is closed.
	if !slices.Equal(got.FDs, []int{0, 1, 2}) {
		t.Errorf("open descriptors %v, want 0 1 2", got.FDs)
	}
}

// With fs.suid_dumpable=1 joining a user namespace makes a process dumpable
// again, so the door has to say so twice.
func TestSuidDumpable(t *testing.T) {
	const file = "/proc/sys/fs/suid_dumpable"
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("1"), 0); err != nil {
		t.Fatalf("this case needs root of the machine: %v", err)
	}
	defer os.WriteFile(file, old, 0)
	got := spawn(t, door.Request{Stage: "test", UserNS: nsFile(t, guest(t), "user")}, probe(t, "amd64", linkDoor))
	if got.Dumpable != 0 {
		t.Errorf("dumpable %d after joining, want 0", got.Dumpable)
	}
}

func TestBadDescriptor(t *testing.T) {
	pid := guest(t)
	// Something that is no namespace for the user's, the right one for the
	// network: each act has a result of its own.
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	got := spawn(t, door.Request{Stage: "test", UserNS: null, NetNS: nsFile(t, pid, "net")}, probe(t, "amd64", linkDoor))
	if e := got.Errno["setns(CLONE_NEWUSER)"]; e != int(unix.EINVAL) {
		t.Errorf("setns of /dev/null: errno %d, want EINVAL", e)
	}
	checkNetNS(t, got, pid, rootOnly())
	// No descriptor at all.
	cmd := exec.Command(probe(t, "amd64", linkDoor))
	cmd.Env = []string{"SLIRP4NETNS_DOOR=--U-N-:test"}
	got = run(t, cmd)
	for _, act := range []string{"setns(CLONE_NEWUSER)", "setns(CLONE_NEWNET)"} {
		if got.Errno[act] != int(unix.EBADF) {
			t.Errorf("%s: errno %d, want EBADF", act, got.Errno[act])
		}
	}
}

// rootOnly is the errno of what a process may do that is root where it
// started, and others may not.
func rootOnly() int {
	if os.Geteuid() == 0 {
		return 0
	}
	return int(unix.EPERM)
}

// checkNetNS expects that the probe joined pid's network namespace, or failed
// to with errno.
func checkNetNS(t *testing.T, got report, pid, errno int) {
	t.Helper()
	want := nsName(t, pid, "net")
	if errno != 0 {
		want = nsName(t, os.Getpid(), "net")
	}
	if e := got.Errno["setns(CLONE_NEWNET)"]; e != errno || got.NS["net"] != want {
		t.Errorf("network namespace %s (errno %d), want %s (errno %d)", got.NS["net"], e, want, errno)
	}
}

func TestMarkerMustBeExact(t *testing.T) {
	for _, c := range []struct {
		name  string
		env   []string
		stage string
		bad   bool // Stage gives an error
	}{
		{"second", []string{"A=b", "SLIRP4NETNS_DOOR=D-----:x"}, "x", false},
		{"longer name", []string{"SLIRP4NETNS_DOORS=D-----:x"}, "", false},
		{"shorter name", []string{"SLIRP4NETNS_DOO=D-----:x"}, "", false},
		{"no value", []string{"SLIRP4NETNS_DOOR="}, "", true},
		{"cut short", []string{"SLIRP4NETNS_DOOR=--"}, "", true},
		{"no stage", []string{"SLIRP4NETNS_DOOR=------:"}, "", true},
		{"wrong letter", []string{"SLIRP4NETNS_DOOR=X-----:x"}, "", true},
		{"wrong order", []string{"SLIRP4NETNS_DOOR=--NU--:x"}, "", true},
		{"too long", []string{"SLIRP4NETNS_DOOR=-------:x"}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(probe(t, "amd64", linkDoor))
			cmd.Env = c.env
			got := run(t, cmd)
			if got.Stage != c.stage || (got.StageErr != "") != c.bad {
				t.Errorf("stage %q, error %q", got.Stage, got.StageErr)
			}
			if !reflect.DeepEqual(got.Errno, notRun) {
				t.Errorf("acts were run: %v", got.Errno)
			}
			if c.stage == "" && !c.bad {
				return
			}
			for _, v := range got.Env {
				if strings.HasPrefix(v, "SLIRP4NETNS_DOOR=") {
					t.Errorf("%s is still in the environment", v)
				}
			}
		})
	}
}

func TestExecInPlace(t *testing.T) {
	pid := guest(t)
	p := probe(t, "amd64", linkDoor)
	cmd := exec.Command(p, "exec", fmt.Sprintf("/proc/%d/ns/user", pid), fmt.Sprintf("/proc/%d/ns/net", pid))
	// Only 9 is there to be kept.
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cmd.ExtraFiles = make([]*os.File, 60)
	cmd.ExtraFiles[6] = null
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Stage != "inner" || got.PID != cmd.Process.Pid || got.Dumpable != 0 {
		t.Errorf("stage %q, pid %d (want %d), dumpable %d", got.Stage, got.PID, cmd.Process.Pid, got.Dumpable)
	}
	if got.NS["user"] != nsName(t, pid, "user") || got.NS["net"] != nsName(t, pid, "net") {
		t.Errorf("namespaces %v, want those of %d", got.NS, pid)
	}
	if !slices.Equal(got.FDs, []int{0, 1, 2, 9}) {
		t.Errorf("open descriptors %v, want 0 1 2 9", got.FDs)
	}
	if !slices.Equal(got.Env, []string{"A=b"}) {
		t.Errorf("environment %q", got.Env)
	}
}

func TestOwnNamespaces(t *testing.T) {
	us := uint32(os.Getuid())
	uids := []uint32{us}
	if us == 0 {
		uids = append(uids, 65534)
	}
	for _, uid := range uids {
		cmd := exec.Command(probe(t, "amd64", linkDoor), "own")
		if uid != us {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		}
		got := run(t, cmd)
		if got.UID != 0 || got.Dumpable != 0 {
			t.Errorf("as %d: uid %d inside, dumpable %d", uid, got.UID, got.Dumpable)
		}
		if known := got.Bounding & (1<<(unix.CAP_CHECKPOINT_RESTORE+1) - 1); known != 1<<unix.CAP_NET_BIND_SERVICE {
			t.Errorf("as %d: bounding set %#x, want CAP_NET_BIND_SERVICE alone", uid, got.Bounding)
		}
		for _, kind := range []string{"user", "mnt"} {
			if got.NS[kind] == nsName(t, os.Getpid(), kind) {
				t.Errorf("as %d: still in the caller's %s namespace", uid, kind)
			}
		}
		if got.NS["net"] != nsName(t, os.Getpid(), "net") {
			t.Errorf("as %d: left the caller's network namespace", uid)
		}
	}
}

// TestGuestRootCannotTrace is the reason for the first act. A process with all
// capabilities in the user namespace that the door joined, and none outside,
// must be able neither to trace the one who came in nor to see its root.
func TestGuestRootCannotTrace(t *testing.T) {
	pid := guest(t)
	stdin, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p, err := door.Spawn(door.Request{Stage: "test", UserNS: nsFile(t, pid, "user"), NetNS: nsFile(t, pid, "net")},
		probe(t, "amd64", linkDoor), []string{"probe", "wait"}, nil, []*os.File{stdin, in, os.Stderr}, nil)
	stdin.Close()
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { hold.Close(); p.End(time.Second) }()
	var line [1]byte
	if _, err := out.Read(line[:]); err != nil {
		t.Fatalf("the probe did not start: %v", err)
	}
	enter := []string{"-t", fmt.Sprint(pid), "-U", "--preserve-credentials"}
	b, err := exec.Command("nsenter", append(enter, "ls", fmt.Sprintf("/proc/%d/root/", p.Pid))...).CombinedOutput()
	if err == nil || !strings.Contains(string(b), "Permission denied") {
		t.Errorf("guest root reads /proc/%d/root: %v %q", p.Pid, err, b)
	}
	b, err = exec.Command("nsenter", append(enter, "strace", "-p", fmt.Sprint(p.Pid), "-o", "/dev/null")...).CombinedOutput()
	if err == nil || !strings.Contains(string(b), "Operation not permitted") {
		t.Errorf("guest root traces %d: %v %q", p.Pid, err, b)
	}
	// The same guest root can trace a process that is dumpable, so the test
	// would see a door that lets it.
	b, err = exec.Command("nsenter", append(enter, "ls", fmt.Sprintf("/proc/%d/root/", pid))...).CombinedOutput()
	if err != nil {
		t.Errorf("guest root cannot even see its own process %d: %v %q", pid, err, b)
	}
}

func TestNotLinked(t *testing.T) {
	p := probe(t, "amd64")
	if got := run(t, exec.Command(p)); got.Linked || got.StageErr != "" {
		t.Errorf("built without -E: %+v", got)
	}
	got := spawn(t, door.Request{Stage: "test"}, p)
	if want := door.ErrNotLinked.Error(); got.StageErr != want || got.Stage != "" {
		t.Errorf("stage %q, error %q, want %q", got.Stage, got.StageErr, want)
	}
}

func TestPIE(t *testing.T) {
	pid := guest(t)
	got := spawn(t, door.Request{Stage: "test", UserNS: nsFile(t, pid, "user"), NetNS: nsFile(t, pid, "net")},
		probe(t, "amd64", linkDoor, "-buildmode=pie"))
	if !got.Linked || got.NS["user"] != nsName(t, pid, "user") || got.NS["net"] != nsName(t, pid, "net") {
		t.Errorf("%+v", got)
	}
}
