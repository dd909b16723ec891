package e2e

import (
	"fmt"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestBubblewrapProxyOnly is a sandbox that reaches nothing but a proxy on the
// host, by its own iptables. Then it gives up the capability to change that.
func TestBubblewrapProxyOnly(t *testing.T) {
	t.Parallel()
	b := newBubble(t, []string{"--uid", "0", "--gid", "0", "--cap-add", "CAP_NET_ADMIN", "--cap-add", "CAP_SETPCAP"}, "sh", "-c", `
		iptables -A OUTPUT -d 10.0.2.2 -p tcp --dport 8000 -j ACCEPT
		iptables -A OUTPUT -o lo -j ACCEPT
		iptables -P OUTPUT DROP
		exec setpriv --bounding-set=-all --inh-caps=-all sh -c '
			curl --silent http://10.0.2.2:8000/
			curl --silent --max-time 1 http://198.51.100.2/ || echo no way out
			dig +short +time=1 +tries=1 @10.0.2.3 lab.test | grep -q 198.51.100.2 || echo no names
			iptables -F 2>&1 | grep -q "you must be root" && echo no change
		'
	`)
	checkSlirpDocumented(t, lab.StartSlirp(t, lab.SlirpOptions{UID: user, Args: []string{"-c", fmt.Sprint(b.PID), "tap0"}}))
	b.block.WriteString("go")
	err := b.Wait()
	if got, want := b.out.String(), lab.HostPage+"no way out\nno names\nno change\n"; err != nil || got != want {
		t.Errorf("%v: %q, want %q", err, got, want)
	}
}
