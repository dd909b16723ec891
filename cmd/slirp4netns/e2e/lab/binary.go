package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// BinaryEnv names the environment variable with the absolute path of the
// slirp4netns to test in place of bin/slirp4netns, for instance Debian's.
const BinaryEnv = "SLIRP4NETNS_BIN"

// Binary is the program under test, in a directory that every user can reach
// and that comes first in the PATH of the lab's commands.
const Binary = binDir + "/slirp4netns"

// Installed is the same program as make install builds it, with slirp-child as
// its child, where `make bench` has built it.
const Installed = binDir + "/slirp4netns-installed"

// Reference is the C program, as Debian installs it.
const Reference = "/usr/bin/slirp4netns"

// binaries are the programs under test: name → content.
type binaries map[string][]byte

// readBinaries reads the programs before the lab hides anything: the
// repository may be in a directory that ordinary users cannot enter. That
// there are none yet is not an error here, but in [RequireBinary].
func readBinaries() (binaries, error) {
	b := make(binaries)
	dir, err := repositoryBin()
	if err != nil {
		return nil, err
	}
	paths := map[string]string{
		"slirp4netns": filepath.Join(dir, "slirp4netns"),
		"slirp-child": filepath.Join(dir, "slirp-child"),

		filepath.Base(Installed): filepath.Join(dir, "lab", filepath.Base(Installed)),
	}
	override := os.Getenv(BinaryEnv)
	if override != "" {
		if !filepath.IsAbs(override) {
			return nil, fmt.Errorf("%s=%s: want an absolute path", BinaryEnv, override)
		}
		paths = map[string]string{"slirp4netns": override}
	}
	for name, path := range paths {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && override == "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		b[name] = content
	}
	return b, nil
}

// install puts the programs into the lab.
func (b binaries) install() error {
	for name, content := range b {
		if err := WriteExecutable(filepath.Join(binDir, name), string(content)); err != nil {
			return err
		}
	}
	return nil
}

// repositoryBin is the bin directory beside the go.mod above the working
// directory (which for tests is that of their package).
func repositoryBin() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, "go.mod")) {
			return filepath.Join(dir, "bin"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod in or above the working directory: run this inside the repository")
		}
	}
}

// RequireBinary fails when there is no program to test.
func RequireBinary(t T) {
	t.Helper()
	if !exists(Binary) {
		t.Fatalf("bin/slirp4netns is not built: run make first, or set %s", BinaryEnv)
	}
}
