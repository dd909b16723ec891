package door_test

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc/door"
)

// TestEveryArchitecture runs the door of each architecture, in an emulator
// where it must. An emulator has threads of its own, so that joining a user
// namespace fails there; that its errno arrives is the test.
func TestEveryArchitecture(t *testing.T) {
	pid := guest(t)
	for arch, emulator := range map[string]string{
		"amd64": "", "arm64": "qemu-aarch64-static", "arm": "qemu-arm-static",
		"riscv64": "qemu-riscv64-static", "ppc64le": "qemu-ppc64le-static", "s390x": "qemu-s390x-static",
	} {
		t.Run(arch, func(t *testing.T) {
			argv := []string{probe(t, arch, linkDoor)}
			userErrno, netErrno := 0, 0
			if emulator != "" {
				path, err := exec.LookPath(emulator)
				if err != nil {
					t.Fatalf("%v: install qemu-user-static", err)
				}
				argv = append([]string{path}, argv...)
				userErrno, netErrno = int(unix.EINVAL), rootOnly()
			}

			got := run(t, exec.Command(argv[0], argv[1:]...))
			if !got.Linked || got.Stage != "" {
				t.Errorf("without a marker: %+v", got)
			}
			got = spawn(t, door.Request{Stage: "test", UserNS: nsFile(t, pid, "user"), NetNS: nsFile(t, pid, "net")}, argv...)
			if got.Stage != "test" || got.Dumpable != 0 {
				t.Errorf("stage %q %s, dumpable %d", got.Stage, got.StageErr, got.Dumpable)
			}
			if e := got.Errno["setns(CLONE_NEWUSER)"]; e != userErrno {
				t.Errorf("setns of the user namespace: errno %d, want %d", e, userErrno)
			}
			checkNetNS(t, got, pid, netErrno)
			if got.Errno["unshare(CLONE_NEWNS)"] != -1 {
				t.Errorf("an act that nobody asked for was run: %v", got.Errno)
			}
			null, err := os.Open("/dev/null")
			if err != nil {
				t.Fatal(err)
			}
			defer null.Close()
			got = spawn(t, door.Request{Stage: "test", NetNS: null, OwnMountNS: true}, argv...)
			if e := got.Errno["setns(CLONE_NEWNET)"]; e != int(unix.EINVAL) {
				t.Errorf("setns of /dev/null: errno %d, want EINVAL", e)
			}
			own := got.NS["mnt"] != nsName(t, os.Getpid(), "mnt")
			if e := got.Errno["unshare(CLONE_NEWNS)"]; e != rootOnly() || own != (e == 0) {
				t.Errorf("mount namespace %s (errno %d), want errno %d", got.NS["mnt"], e, rootOnly())
			}
		})
	}
}
