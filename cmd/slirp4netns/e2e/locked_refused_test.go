package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// refusal is a system call that fails, as a container's seccomp profile, AppArmor,
// a limit or an old kernel has it.
type refusal struct {
	Call  uint32
	Arg   uint32 // the argument that is looked at
	Bits  uint32 // which must be set there; 0: whatever it is
	Errno unix.Errno
}

// refuseEnv makes this test's binary run its arguments with the refusal that it
// describes.
const refuseEnv = "SLIRP_TEST_REFUSE"

func init() {
	text := os.Getenv(refuseEnv)
	if text == "" {
		return
	}
	os.Unsetenv(refuseEnv)
	var r refusal
	err := json.Unmarshal([]byte(text), &r)
	if err == nil {
		err = r.run(os.Args[1:])
	}
	fmt.Fprintln(os.Stderr, "refuse:", err)
	os.Exit(1)
}

// run replaces the process.
func (r *refusal) run(args []string) error {
	const nr, args0 = 0, 16 // struct seccomp_data (linux/seccomp.h), little-endian
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: nr, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: r.Call, SkipTrue: 4},
		bpf.LoadAbsolute{Off: args0 + 8*r.Arg, Size: 4},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: r.Bits},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: r.Bits, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(r.Errno)},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
	})
	if err != nil {
		return err
	}
	var filter []unix.SockFilter
	for _, i := range program {
		filter = append(filter, unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := unix.Syscall(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return errno
	}
	return unix.Exec(args[0], args, os.Environ())
}

// refusing is a slirp4netns that runs with r.
func refusing(t *testing.T, uid int, r refusal) string {
	t.Helper()
	return refusingBinary(t, uid, lab.Binary, r)
}

// refusingBinary is refusing for whatever program.
func refusingBinary(t *testing.T, uid int, binary string, r refusal) string {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return script(t, uid, fmt.Sprintf(`%s='%s' exec %s %s "$@"`, refuseEnv, text, again(t), binary))
}

// TestLockedStepRefused: a lock that the kernel does not grant ends the program
// with a message that names the step, the reason and what to do. Nothing is
// left behind.
func TestLockedStepRefused(t *testing.T) {
	const (
		profile = ": a container's seccomp profile, AppArmor (kernel.apparmor_restrict_unprivileged_userns) or" +
			" SELinux forbids it; allow this program user namespaces, mount and pivot_root there, or start without --enable-sandbox"
		limits = ": too many namespaces; raise user.max_user_namespaces and user.max_mnt_namespaces (sysctl), or start without --enable-sandbox"
		old    = ": this kernel was built without it; start without --enable-sandbox"
		chroot = ": the root directory is no mount point, as in a chroot: bind-mount it on itself before the chroot, or start without --enable-sandbox"
		mounts = ": too many mounts (fs.mount-max, sysctl) or too little memory"
	)
	for _, c := range []struct {
		refusal
		tapfd bool // there is no namespace to join
		want  string
	}{
		{refusal{unix.SYS_UNSHARE, 0, unix.CLONE_NEWNS, unix.EPERM}, false, "unshare(CLONE_NEWNS): operation not permitted" + profile},
		{refusal{unix.SYS_UNSHARE, 0, unix.CLONE_NEWNS, unix.ENOSPC}, false, "unshare(CLONE_NEWNS): no space left on device" + limits},
		{refusal{unix.SYS_UNSHARE, 0, unix.CLONE_NEWUSER, unix.EPERM}, true, "unshare(CLONE_NEWUSER): operation not permitted" + profile},
		{refusal{unix.SYS_UNSHARE, 0, unix.CLONE_NEWUSER, unix.ENOSYS}, true, "unshare(CLONE_NEWUSER): function not implemented" + old},
		{refusal{unix.SYS_SETNS, 1, unix.CLONE_NEWUSER, unix.EACCES}, false, "setns(CLONE_NEWUSER): permission denied" + profile},
		{refusal{unix.SYS_MOUNT, 3, unix.MS_SLAVE, unix.EACCES}, false, "making / a slave mount: permission denied" + profile},
		{refusal{unix.SYS_MOUNT, 3, unix.MS_SLAVE, unix.EINVAL}, false, "making / a slave mount: invalid argument" + chroot},
		{refusal{unix.SYS_MOUNT, 3, unix.MS_NOEXEC, unix.EPERM}, false, "mounting a tmpfs on /tmp: operation not permitted" + profile},
		{refusal{unix.SYS_MOUNT, 3, unix.MS_BIND, unix.EPERM}, false, "bind-mounting /etc: operation not permitted" + profile},
		{refusal{unix.SYS_MOUNT, 3, unix.MS_BIND, unix.ENOMEM}, false, "bind-mounting /etc: cannot allocate memory" + mounts},
		{refusal{unix.SYS_MOUNT_SETATTR, 0, 0, unix.EPERM}, false, "making /etc read-only: operation not permitted" + profile},
		{refusal{unix.SYS_PIVOT_ROOT, 0, 0, unix.EPERM}, false, "pivot_root: operation not permitted" + profile},
		{refusal{unix.SYS_UMOUNT2, 0, 0, unix.EPERM}, false, "unmounting the old root: operation not permitted" + profile},
		{refusal{unix.SYS_MOUNT, 3, unix.MS_REMOUNT, unix.EPERM}, false, "making the new root read-only: operation not permitted" + profile},
		{refusal{unix.SYS_PRCTL, 0, unix.PR_CAPBSET_DROP, unix.EPERM}, false, "prctl(PR_CAPBSET_DROP): operation not permitted" + profile},
		{refusal{unix.SYS_CAPSET, 0, 0, unix.EPERM}, false, "capset: operation not permitted" + profile},
		{refusal{unix.SYS_SECCOMP, 0, unix.SECCOMP_SET_MODE_FILTER, unix.EINVAL}, false, "seccomp: the kernel has no filters (CONFIG_SECCOMP_FILTER): Invalid argument"},
	} {
		t.Run(strings.SplitN(c.want, ": a ", 2)[0], func(t *testing.T) {
			option := "--enable-sandbox: "
			if c.Call == unix.SYS_SECCOMP {
				option = "" // there is no other that it could be
			}
			g := lab.NewGuest(t, byUser)
			dir := lab.TempDir(t, user)
			args := append(bothLocks[:2:2], "-a", filepath.Join(dir, "api"))
			if c.tapfd {
				// What it is would be looked at later.
				args = append(args, "--netns-type=tapfd", "0")
			} else {
				args = append(args, "-c", strconv.Itoa(g.PID), "tap0")
			}
			out, status := runToEnd(t, user, refusing(t, user, c.refusal), args...)
			if !strings.Contains(out, option) || !strings.Contains(out, c.want+"\n") || status != 1 {
				t.Errorf("status %d, it said\n%swant 1 and\n%s%s", status, out, option, c.want)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// TestLockedLacking: root whom a container has kept from a capability is told
// which.
func TestLockedLacking(t *testing.T) {
	lab.NeedUsers(t)
	without := func(capability, program string) string {
		return script(t, 0, fmt.Sprintf(`exec setpriv --bounding-set=-%s %s "$@"`, capability, program))
	}
	ramDisk := refusing(t, 0, refusal{unix.SYS_PIVOT_ROOT, 0, 0, unix.EINVAL})
	for _, c := range []struct{ binary, want string }{
		{without("setpcap", lab.Binary), "prctl(PR_CAPBSET_DROP): operation not permitted: it takes CAP_SETPCAP," +
			" which whoever started this program has kept from it (in a container: --cap-add=SETPCAP); give it that, or start without --enable-sandbox"},
		{without("sys_chroot", ramDisk), "chroot to the new root: operation not permitted: it takes CAP_SYS_CHROOT," +
			" which whoever started this program has kept from it (in a container: --cap-add=SYS_CHROOT); give it that, or start without --enable-sandbox"},
	} {
		t.Run(strings.SplitN(c.want, ":", 2)[0], func(t *testing.T) {
			g := lab.NewGuest(t, byRoot)
			out, status := runToEnd(t, 0, c.binary, append(bothLocks[:2:2], "-c", strconv.Itoa(g.PID), "tap0")...)
			if !strings.Contains(out, "--enable-sandbox: "+c.want+"\n") || status != 1 {
				t.Errorf("status %d, it said\n%swant 1 and\n%s", status, out, c.want)
			}
		})
	}
}

// TestLockedOtherwise: what older kernels lack, and RAM disks refuse, is done in
// another way, to the same end.
func TestLockedOtherwise(t *testing.T) {
	for _, c := range []struct {
		name string
		refusal
		usersDir bool   // the socket's directory is the user's, whoever runs it
		left     string // what is left behind
	}{
		{"mount_setattr, before Linux 5.12", refusal{unix.SYS_MOUNT_SETATTR, 0, 0, unix.ENOSYS}, false, ""},
		{"pivot_root, on a RAM disk", refusal{unix.SYS_PIVOT_ROOT, 0, 0, unix.EINVAL}, false, ""},
		{"open_tree, before Linux 5.2", refusal{unix.SYS_OPEN_TREE, 0, 0, unix.ENOSYS}, false, "api"},
		{"faccessat2, before Linux 5.8", refusal{unix.SYS_FACCESSAT2, 0, 0, unix.ENOSYS}, true, ""},
		{"faccessat2, an old profile", refusal{unix.SYS_FACCESSAT2, 0, 0, unix.EPERM}, false, ""},
	} {
		for uid, as := range map[int]string{user: "user", 0: "root"} {
			t.Run(c.name+", "+as, func(t *testing.T) {
				g := lab.NewGuest(t, byUser)
				owner := uid
				if c.usersDir {
					owner = user
				}
				dir := lab.TempDir(t, owner)
				s := lab.StartSlirp(t, lab.SlirpOptions{UID: uid, Binary: refusing(t, uid, c.refusal),
					Args: append(bothLocks[:2:2], "-a", filepath.Join(dir, "api"), "-c", strconv.Itoa(g.PID), "tap0")})
				checkLocked(t, s.Process.Pid)
				sockets := 1
				if c.left != "" {
					sockets = 0
				}
				checkDescriptors(t, s.Process.Pid, sockets)
				checkReachesHost(t, g)
				s.Stop()
				var left []string
				entries, err := os.ReadDir(dir)
				for _, e := range entries {
					left = append(left, e.Name())
				}
				if got := strings.Join(left, " "); err != nil || got != c.left {
					t.Errorf("left behind: %q, %v, want %q", got, err, c.left)
				}
				if c.left != "" && !strings.Contains(s.Log(), "it will be left behind") {
					t.Errorf("no warning: %s", s.Log())
				}
			})
		}
	}
}
