package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Directories of the lab. All of them are in a private tmpfs.
const (
	runDir   = "/run/lab"
	binDir   = runDir + "/bin"
	tempRoot = runDir + "/tmp"
	netnsDir = "/run/netns"
)

// setUp makes the host: its file system, its network, and inet.
func setUp() error {
	// Errors of cosmetic files are found by the lab's own tests.
	resolv, err := resolvConfTarget()
	if err != nil {
		return err
	}
	binaries, err := readBinaries()
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		mountHost,
		startAccounting,
		binaries.install,
		provideTun,
		provideAccount,
		provideCgroup2,
		func() error { return writeResolvConf(resolv) },
		setUpNetwork,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// mountHost gives the lab a /proc of its own PIDs and an empty /run.
func mountHost() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make / private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs on /run: %w", err)
	}
	for _, dir := range []string{runDir, binDir, tempRoot, netnsDir, "/run/user"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return makeHome()
}

// provideTun makes /dev/net/tun one that every user may open.
func provideTun() error {
	const tun = "/dev/net/tun"
	info, err := os.Stat(tun)
	if err != nil {
		return fmt.Errorf("%w (load the module: modprobe tun)", err)
	}
	if info.Mode().Perm() == 0o666 {
		return nil
	}
	if oneUser {
		return fmt.Errorf("%s has mode %04o: an ordinary user needs 0666 (chmod 666 %s as root)", tun, info.Mode().Perm(), tun)
	}
	node := filepath.Join(runDir, "tun")
	if err := unix.Mknod(node, unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))); err != nil {
		return fmt.Errorf("mknod %s: %w", node, err)
	}
	if err := os.Chmod(node, 0o666); err != nil {
		return err
	}
	if err := unix.Mount(node, tun, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", tun, err)
	}
	return nil
}

// resolvConfTarget is the file that /etc/resolv.conf is in the end. It may
// not exist: systemd-resolved's is below /run, which will be empty.
func resolvConfTarget() (string, error) {
	path := "/etc/resolv.conf"
	for range 40 { // as many links as the kernel follows
		link, err := os.Readlink(path)
		if err != nil {
			break // not a link: this is the file
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(path), link)
		}
		path = filepath.Clean(link)
	}
	if underRun(path) {
		return path, nil
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w (the lab mounts its own over it, so it must exist)", err)
	}
	return path, nil
}

// underRun tells whether path is in the directory that the lab empties.
func underRun(path string) bool {
	return strings.HasPrefix(path, "/run/") || strings.HasPrefix(path, "/var/run/")
}

// writeResolvConf makes /etc/resolv.conf name the servers of inet.
func writeResolvConf(target string) error {
	content := fmt.Sprintf("nameserver %s\nnameserver %s\n", InetAddr4, InetAddr6)
	if underRun(target) {
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, []byte(content), 0o644)
	}
	return bindContent("resolv.conf", content, target)
}

// exists tells whether there is anything at path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
