package main

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// randomLines is how many command lines TestRandomCommandLines tries.
const randomLines = 400

// pool is what random command lines are made of. No word is the PID of a
// process or names a namespace, nor does one leave the namespace world
// (bess), so that nothing is ever started.
var pool = []string{
	"-c", "-6", "-c6", "-r", "-r3", "-e4", "-c6r3", "-m", "-m1500", "-a", "-x", "-cx", "-h", "-",
	"--", "--", "--configure", "--conf", "--c", "--en", "--enable-ipv", "--enable-seccomp", "--ready", "--ready=3",
	"--mtu", "--mtu=1500", "--mt=0", "--m", "--netns-type", "--ne=pid", "--ne=path", "--cidr", "--ci=10.1.0.0/16",
	"--disable", "--disable-d", "--disable-dns=1", "--no", "--cr", "--mac=1:2", "--mac", "--outbound-addr",
	"--outbound-addr=192.0.2.1", "--outbound-addr6=::1", "--target", "--target=netns", "--userns=/", "--us",
	"--api", "--help", "--x", "", "999999999", "999999999", "999999999", "tap0", "tap0", "pid", "-1",
}

// TestRandomCommandLines compares what getopt_long(3) makes of command lines
// that nobody would think of.
func TestRandomCommandLines(t *testing.T) {
	requirePrograms(t)
	random := rand.New(rand.NewPCG(1, 2)) // the same lines each time
	outcomes := map[string]bool{}
	for range randomLines {
		args := make([]string, 1+random.IntN(6))
		for i := range args {
			args[i] = pool[random.IntN(len(pool))]
		}
		var env []string
		if random.IntN(4) == 0 {
			env = []string{"POSIXLY_CORRECT=1"}
		}
		want := differences["usage"](differences["twice"](runProgram(t, lab.Reference, env, args)))
		ours := runProgram(t, lab.Binary, env, args)
		if diff := cmp.Diff(want, ours); diff != "" {
			t.Errorf("%v %q (-C program +ours):\n%s", env, args, diff)
		}
		outcomes[want.Stderr] = true
	}
	// Lest the pool only gives complaints about one word of it.
	if len(outcomes) < 20 {
		t.Errorf("only %d different outcomes", len(outcomes))
	}
}
