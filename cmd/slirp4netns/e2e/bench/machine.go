package main

import (
	"context"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// machine is what the figures depend on.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	Kernel string `json:"kernel"`
	System string `json:"system"`
	Go     string `json:"go"`
	Ours   string `json:"ours"`
	C      string `json:"c"`
	Iperf3 string `json:"iperf3"`
	Pasta  string `json:"pasta"`
	Wrk    string `json:"wrk"`
	Nginx  string `json:"nginx"`
	Kit    string `json:"rootlesskit"`
}

// thisMachine asks the machine.
func thisMachine() machine {
	m := machine{
		CPU:    field("/proc/cpuinfo", "model name", ":"),
		Cores:  runtime.NumCPU(),
		Memory: field("/proc/meminfo", "MemTotal", ":"),
		System: strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
		Go:     runtime.Version(),
		Ours:   says(lab.Binary, "--version"),
		C:      says(lab.Reference, "--version"),
		Iperf3: says("iperf3", "--version"),
		Pasta:  packaged("passt"),
		Wrk:    packaged("wrk"),
		Nginx:  packaged("nginx"),
		Kit:    strings.TrimPrefix(says(kitProgram(), "--version"), "rootlesskit version "),
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	}
	return m
}

// commit is the commit of this program, as it says itself.
func (m machine) commit() string {
	_, commit, _ := strings.Cut(m.Ours, "commit: ")
	commit, _, _ = strings.Cut(commit, ",")
	return strings.TrimSpace(commit)
}

// field is the value of the first "name SEPARATOR value" line of a file.
func field(file, name, separator string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(content)) {
		if k, v, ok := strings.Cut(line, separator); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// says is the start of what a program prints: its name, version and commit.
func says(name string, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := lab.Command(ctx, lab.OrdinaryUID, name, args...).Output()
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitN(string(out), "\n", 3)
	said := strings.TrimSpace(lines[0])
	if len(lines) > 1 && strings.HasPrefix(lines[1], "commit: ") {
		said += ", " + lines[1]
	}
	return said
}

// packaged is the version of a Debian package, for programs that do not tell.
func packaged(name string) string {
	return says("dpkg-query", "-W", "-f", "${Package} ${Version}", name)
}
