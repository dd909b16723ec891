package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

var frameSockets = map[string]int{"SEQPACKET": unix.SOCK_SEQPACKET, "DGRAM": unix.SOCK_DGRAM}

// tapfdSocket starts a slirp4netns with one end of a socket pair.
func tapfdSocket(t *testing.T, typ int, args ...string) (*lab.Slirp, *os.File) {
	t.Helper()
	ours, theirs := lab.FramePair(t, typ)
	t.Cleanup(func() { ours.Close() }) // after slirp4netns, which ends with it
	s := lab.StartSlirp(t, lab.SlirpOptions{UID: user, Files: []*os.File{theirs},
		Args: append(args[:len(args):len(args)], "--netns-type=tapfd", "5")})
	theirs.Close()
	return s, ours
}

// TestTapFDSocket is a guest that speaks to the socket by hand. Then it closes
// its end, which ends slirp4netns.
func TestTapFDSocket(t *testing.T) {
	for name, typ := range frameSockets {
		for locks, args := range map[string][]string{"": nil, " locked": bothLocks} {
			t.Run(name+locks, func(t *testing.T) {
				t.Parallel()
				s, file := tapfdSocket(t, typ, args...)
				checkSlirpDocumented(t, s)
				checkNoChildren(t, s.Process.Pid)
				g := newStation(t, file, "10.0.2.100")
				for range 2 {
					if mac := g.resolve("10.0.2.2"); mac != gatewayMAC {
						t.Errorf("the gateway is %x, want %x", mac, gatewayMAC)
					}
					g.resolve("10.0.2.3")
					if got := g.discover().String(); got != "10.0.2.15" {
						t.Errorf("offered %s, want 10.0.2.15", got)
					}
					g.handshake("10.0.2.2", lab.HostHTTPPort)
					g.nonsense()
				}
				checkIdle(t, s.Process.Pid)
				g.resolve("10.0.2.2")
				file.Close()
				state := s.Wait(15 * time.Second)
				if state == nil || state.ExitCode() != 0 {
					t.Errorf("ended with %v, want status 0", state)
				}
				// In the sandbox the number may be another.
				if want := ": the other end is gone, exiting\n"; !strings.HasSuffix(s.Log(), want) {
					t.Errorf("%q, want %q", s.Log(), want)
				}
			})
		}
	}
}

// TestTapFDSocketFull is a guest that does not read: it loses frames, and
// neither stops slirp4netns nor keeps it busy.
func TestTapFDSocketFull(t *testing.T) {
	for name, typ := range frameSockets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, file := tapfdSocket(t, typ)
			g := newStation(t, file, "10.0.2.100")
			ping := g.echo("10.0.2.2", 1400)
			for range 8000 {
				g.send(ping)
			}
			checkIdle(t, s.Process.Pid)
			replies := 0
			for g.await(time.Second, func(f []byte) bool { return len(f) == len(ping) && f[34] == 0 }) != nil {
				replies++
			}
			// Half a MiB at least, 4 MiB at most, and what the kernel takes.
			if replies < 350 || replies > 4000 {
				t.Errorf("%d replies had room", replies)
			}
			g.resolve("10.0.2.3")
			g.handshake("10.0.2.2", lab.HostHTTPPort)
		})
	}
}

// TestTapFDSocketTransfer is a guest with a kernel.
func TestTapFDSocketTransfer(t *testing.T) {
	const size = 64 << 20
	want, err := lab.SHA256(lab.Stream(size))
	if err != nil {
		t.Fatal(err)
	}
	for name, typ := range frameSockets {
		for _, mtu := range mtus {
			t.Run(fmt.Sprintf("%s, MTU %d", name, mtu), func(t *testing.T) {
				s, file := tapfdSocket(t, typ, fmt.Sprintf("--mtu=%d", mtu))
				g := lab.NewGuest(t, lab.GuestOptions{})
				g.Bridge(t, file, mtu, netip.MustParsePrefix("10.0.2.100/24"))
				checkReachesHost(t, g)
				if got := digest(t, g, "curl", "--silent", "--show-error", "--fail", fmt.Sprintf("http://198.51.100.2/bytes/%d", size)); got != want {
					t.Errorf("down: SHA-256 %s, want %s", got, want)
				}
				if got := upload(t, g, size); got != want {
					t.Errorf("up: SHA-256 %s, want %s", got, want)
				}
				s.Stop()
			})
		}
	}
}

// upload is the digest that inet's server found of size bytes of the stream.
func upload(t *testing.T, g *lab.Guest, size int64) string {
	t.Helper()
	cmd := g.Command(t.Context(), "curl", "--silent", "--show-error", "--fail", "--max-time", "60", "-T", "-", "http://198.51.100.2/upload")
	cmd.Stdin = lab.Stream(size)
	var stderr lab.Log
	cmd.Stderr = &stderr
	got, err := cmd.Output()
	if err != nil {
		t.Errorf("upload: %v: %s", err, stderr.String())
	}
	return string(got)
}

// TestTapFDSocketErrors are sockets that carry no frames.
func TestTapFDSocketErrors(t *testing.T) {
	for name, c := range map[string]struct{ domain, typ int }{
		"a stream": {unix.AF_UNIX, unix.SOCK_STREAM}, "UDP": {unix.AF_INET, unix.SOCK_DGRAM},
		"unconnected": {unix.AF_UNIX, unix.SOCK_SEQPACKET},
	} {
		t.Run(name, func(t *testing.T) {
			fd, err := unix.Socket(c.domain, c.typ|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			file := os.NewFile(uintptr(fd), name)
			defer file.Close()
			cmd := lab.Command(t.Context(), user, lab.Binary, append(lab.Locks(), "--netns-type=tapfd", "3")...)
			cmd.ExtraFiles = []*os.File{file}
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.HasPrefix(afterLocks(out), "tapfd 3: a socket ") {
				t.Errorf("%v, %q", err, out)
			}
		})
	}
}
