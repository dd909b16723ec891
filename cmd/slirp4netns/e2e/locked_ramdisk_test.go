package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// ramDiskInit is the first process of a machine whose root is the kernel's RAM
// disk, which cannot be moved by pivot_root(2).
const ramDiskInit = `#!/bin/sh
export PATH=/bin
mkdir /proc /run /tmp /dev
mount -t proc p /proc
mount -t devtmpfs d /dev
ip link set lo up
echo 1 >/proc/sys/fs/suid_dumpable
mkdir /run/other
chown 1000 /run/other
chmod 700 /run/other
echo "vm: root is $(sed -n 's/^\([^ ]*\) \/ .*/\1/p' /proc/mounts)"
start-stop-daemon -S -c 0:7 -n none -a /bin/slirp4netns -- --enable-sandbox --enable-seccomp --target-type=bess /run/other/bess >/log 2>&1 &
pid=$!
start-stop-daemon -S -c 0:7 -n none -a /bin/sleep -- 100 &
n=0
until grep -q '^Seccomp:.*2' /proc/$pid/status || [ $n = 50 ]; do sleep .1; n=$((n+1)); done
echo "vm: root has $(ls /proc/$pid/root | tr '\n' ' ')"
echo "vm: out of reach $(ls -d /proc/$pid/root/../log /proc/$pid/cwd/../../log 2>&1 | grep -c 'No such')"
for name in CapEff CapBnd NoNewPrivs Seccomp; do
	echo "vm: $name $(sed -n "s/^$name:.//p" /proc/$pid/task/*/status | sort -u | tr '\n' ' ')"
done
echo "vm: groups $(stat -c %g /proc/$!/status) $(stat -c %g /proc/$pid/status /proc/$pid/task/*/status | sort -u | tr '\n' ' ')"
kill $pid
wait $pid
echo "vm: status $?, left $(ls /run/other | tr '\n' ' ')"
sed 's/^/log: /' /log
poweroff -f
`

// TestLockedRAMDisk boots a User Mode Linux whose root is its RAM disk. Its
// processes can be traced when they have changed their user (fs.suid_dumpable),
// which is not for us: what cannot be traced has root's group in /proc, and other
// processes that were started like it have their own (proc_pid(5)).
func TestLockedRAMDisk(t *testing.T) {
	t.Parallel()
	dir := lab.TempDir(t, user)
	disk := filepath.Join(dir, "disk")
	if err := os.WriteFile(disk, ramDisk(t), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), umlTimeout)
	defer cancel()
	cmd := lab.Command(ctx, user, "linux.uml", "mem=256M", "initrd="+disk, "rdinit=/init", "con=null", "con0=null,fd:1", "quiet")
	cmd.Env = append(cmd.Env, "HOME="+dir, "TMPDIR=/dev/shm")
	var console lab.Log
	cmd.Stdout, cmd.Stderr = &console, &console
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	said := strings.ReplaceAll(console.String(), "\r\n", "\n")
	for _, line := range []string{
		"root is rootfs", "root has etc run ", "out of reach 2", "CapEff 0000000000000400 ", "CapBnd 0000000000000400 ",
		"NoNewPrivs 1 ", "Seccomp 2 ", "status 143, left ", "groups 7 0 ",
	} {
		if !strings.Contains(said, "vm: "+line+"\n") {
			t.Errorf("not %q", line)
		}
	}
	if t.Failed() {
		t.Logf("%v, it said:\n%s", err, said)
	}
}

// ramDisk is a file system for the kernel to unpack: in the format of cpio(5),
// "New ASCII".
func ramDisk(t *testing.T) []byte {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	var disk strings.Builder
	pad := func() {
		for disk.Len()%4 != 0 {
			disk.WriteByte(0)
		}
	}
	add := func(name string, mode int, content string) {
		fmt.Fprintf(&disk, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
		pad()
		disk.WriteString(content)
		pad()
	}
	const directory, file, link = 0o40755, 0o100755, 0o120777
	add("bin", directory, "")
	add("etc", directory, "")
	add("etc/resolv.conf", file, "nameserver 192.0.2.1\n")
	add("etc/passwd", file, "root:x:0:0::/:/bin/sh\n")
	for name, path := range map[string]string{"busybox": busybox, "slirp4netns": lab.Binary} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		add("bin/"+name, file, string(b))
	}
	for _, applet := range []string{"sh", "mkdir", "mount", "ip", "sed", "grep", "sleep", "ls", "tr", "sort", "stat", "start-stop-daemon", "chown", "chmod", "poweroff"} {
		add("bin/"+applet, link, "busybox")
	}
	add("init", file, ramDiskInit)
	add("TRAILER!!!", 0, "")
	return []byte(disk.String())
}
