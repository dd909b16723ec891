package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// OrdinaryUID is a user (and group) that owns nothing and has no capabilities.
// In a lab that root started it is called [OrdinaryName] and has subordinate
// users; in one that an ordinary user started it is that user, in a user
// namespace of its own, without a name.
const OrdinaryUID = 12345

// waitDelay is how long a command may keep its output open after its end.
const waitDelay = 5 * time.Second

// T is the part of testing.T that the lab needs. Programs use [Program].
type T interface {
	Helper()
	Name() string
	Cleanup(func())
	Failed() bool
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// NeedUsers fails the test where the lab has only one user outside. Such a
// test is one in which a user meets what another user, or root, owns.
func NeedUsers(t T) {
	t.Helper()
	if oneUser {
		t.Fatalf("this case needs two users: run the tests as root")
	}
}

// OneUser tells that root and OrdinaryUID are the same user outside.
func OneUser() bool { return oneUser }

// Command is a command that runs as uid (0 or [OrdinaryUID]) on the host,
// with a clean environment, in /. The context's end kills it.
func Command(ctx context.Context, uid int, name string, args ...string) *exec.Cmd {
	var attr syscall.SysProcAttr
	switch {
	case uid == os.Geteuid():
	case oneUser:
		args = append([]string{"-U", "--preserve-credentials", "-t", userNamespace(), "--", name}, args...)
		name = "nsenter"
	default:
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	cmd := exec.CommandContext(ctx, lookPath(name), args...)
	cmd.SysProcAttr = &attr
	cmd.Env = environment(uid)
	cmd.Dir = "/"
	cmd.WaitDelay = waitDelay
	return cmd
}

// AsUser is the start of a command line that runs the rest as uid. [Command]
// is simpler; this is for shell scripts, which run as root.
func AsUser(uid int) []string {
	id := strconv.Itoa(uid)
	switch {
	case uid == os.Geteuid():
		return nil
	case oneUser:
		return []string{"nsenter", "-U", "--preserve-credentials", "-t", userNamespace(), "--"}
	}
	return []string{"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", "--"}
}

// path is where the lab's commands are searched.
const path = binDir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is all that the lab's commands get. No proxy gets in here.
func environment(uid int) []string {
	return []string{
		"PATH=" + path,
		"HOME=" + home(uid),
		"XDG_RUNTIME_DIR=" + home(uid),
		"LC_ALL=C",
	}
}

// lookPath finds a program in the lab's PATH, not in ours.
func lookPath(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return name // exec.Cmd says that it is not there
}

// home is the user's directory, for sockets and the like.
func home(uid int) string { return "/run/user/" + strconv.Itoa(uid) }

// makeHome makes the directories of the users.
func makeHome() error {
	for _, uid := range []int{0, OrdinaryUID} {
		if err := os.Mkdir(home(uid), 0o700); err != nil {
			return err
		}
		if err := Give(home(uid), uid); err != nil {
			return err
		}
	}
	return nil
}

// Give makes a file the user's. With one user it is already.
func Give(path string, uid int) error {
	if oneUser {
		return nil
	}
	return os.Chown(path, uid, uid)
}

// TempDir is a directory of uid's, removed at the test's end. It is on a
// tmpfs, and its path is short enough for a socket's.
func TempDir(t T, uid int) string {
	t.Helper()
	dir, err := os.MkdirTemp(tempRoot, "")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		err = Give(dir, uid)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// haveUsers tells whether the caller is root and may become OrdinaryUID.
func haveUsers() bool {
	if os.Geteuid() != 0 {
		return false
	}
	maps, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(maps)) {
		var inside, outside, size int
		if n, _ := fmt.Sscan(line, &inside, &outside, &size); n == 3 &&
			inside <= OrdinaryUID && OrdinaryUID-inside < size {
			return true
		}
	}
	return false
}

// userNamespace is the PID of a process in the user namespace in which the
// only user is OrdinaryUID. It lives as long as the program.
var userNamespace = sync.OnceValue(func() string {
	cmd := exec.Command("/bin/cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: OrdinaryUID, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: OrdinaryUID, HostID: 0, Size: 1}},
	}
	// The pipe is never closed: cat waits for ever.
	if _, err := cmd.StdinPipe(); err != nil {
		panic("lab: " + err.Error())
	}
	if err := cmd.Start(); err != nil {
		panic("lab: user namespace of an ordinary user: " + err.Error())
	}
	return strconv.Itoa(cmd.Process.Pid)
})
