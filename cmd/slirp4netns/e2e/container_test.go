package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// rootfs makes the root directory of a container: busybox, and a page.
func (c *caller) rootfs(uid int) string {
	c.t.Helper()
	root := filepath.Join(c.dir, "rootfs")
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		c.t.Fatal(err)
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, dir := range []string{"bin", "etc", "tmp", "proc", "sys", "dev", "run", "www"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, file := range []struct{ name, content string }{
		{"bin/busybox", string(program)},
		{"etc/passwd", "root:x:0:0:root:/:/bin/sh\n"},
		{"www/index.html", containerPage},
	} {
		if err := lab.WriteExecutable(filepath.Join(root, file.name), file.content); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, applet := range []string{"sh", "ip", "wget", "httpd", "sleep", "sed"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, uid)
	}); err != nil {
		c.t.Fatal(err)
	}
	return root
}

// containerPage is what the container's own server has.
const containerPage = "hello-from-container\n"
