package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestStartAndStop lets both programs start for a guest, with an exit-fd that
// is closed already, so that they end as soon as they are up: the whole of
// what a start prints, and how one fails late.
func TestStartAndStop(t *testing.T) {
	requirePrograms(t)
	for _, options := range []string{
		"",
		"-c",
		"-c --mtu=65520 --disable-host-loopback",
		"-c --cidr=10.128.0.0/9 --macaddress=aa-bb",
		"--cidr=255.255.255.128/25 --disable-dns",
		"--mtu=68 --outbound-addr=198.51.100.1",
		"--outbound-addr6=2001:db8:100::1 --outbound-addr=lo",
		"--outbound-addr6=2001:db8:100::1 --no-host-loopback",
		"-6 -a /run/lab/tmp/api --enable-sandbox",
		"-c --mtu=67",
		"-c --macaddress=01:00:5e:00:00:01",
		"-c --macaddress=0:0",
	} {
		t.Run(options, func(t *testing.T) {
			want := startAndStop(t, lab.Reference, options)
			want.Stdout = warnOnce(want.Stdout)
			ours := startAndStop(t, lab.Binary, options)
			if diff := cmp.Diff(want, ours); diff != "" {
				t.Errorf("(-C program +ours):\n%s", diff)
			}
		})
	}
}

// startAndStop runs a program for a new guest.
func startAndStop(t *testing.T, program, options string) result {
	t.Helper()
	guest := lab.NewGuest(t, lab.GuestOptions{Root: true})
	exitFD, closed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer exitFD.Close()
	closed.Close()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	args := append([]string{"--exit-fd=3"}, strings.Fields(options)...)
	cmd := exec.CommandContext(ctx, program, append(args, strconv.Itoa(guest.PID), "tap0")...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.ExtraFiles = []*os.File{exitFD}
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%s %q: %v\n%s%s", program, cmd.Args, err, stdout.String(), stderr.String())
	}
	// The number is whatever was free.
	said := tapNumber.ReplaceAllString(stderr.String(), "tapfd=N")
	return result{cmd.ProcessState.ExitCode(), stdout.String(), said}
}

var tapNumber = regexp.MustCompile(`tapfd=[0-9]+`)

// warnOnce takes out the warnings that the C program's child prints as well.
func warnOnce(stdout string) string {
	warnings, banner, ok := strings.Cut(stdout, "Starting slirp\n")
	if !ok {
		return stdout
	}
	return warnings[len(warnings)/2:] + "Starting slirp\n" + banner
}
