package main

import "github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"

// subject is what is measured.
type subject struct {
	name  string
	title string // of its column
	// connect runs fn with a client's place. Each call starts the program
	// anew, in a new guest.
	connect func(b *bench, s *subject, o setup, fn func(*place))
	binary  string // of a slirp4netns
}

// setup is what a measurement wants of the subject.
type setup struct {
	mtu int
	// args are further options of a slirp4netns.
	args []string
	// noExitFD starts a slirp4netns without an exit-fd.
	noExitFD bool
	// forward has the host's 127.0.0.1:forwardPort led to the guest's
	// iperfPort (TCP) and echoPort (UDP).
	forward bool
}

// The subjects: ours first.
var (
	ours     = &subject{name: "Go", title: "this program", binary: lab.Binary, connect: connectSlirp}
	theirs   = &subject{name: "C", title: "C slirp4netns", binary: lab.Reference, connect: connectSlirp}
	pasta    = &subject{name: "pasta", title: "pasta", connect: connectPasta}
	loopback = &subject{name: "loopback", title: "loopback alone", connect: connectNothing}
	builtin  = &subject{name: "builtin", title: "RootlessKit's builtin ports", connect: kit("slirp4netns", "builtin", "10.0.2.2")}
	vsock    = &subject{name: "gvisor-tap-vsock", title: "gvisor-tap-vsock", connect: kit("gvisor-tap-vsock", "gvisor-tap-vsock", "10.0.2.1")}

	// subjects are all, in the order of the tables.
	subjects = []*subject{ours, theirs, pasta, builtin, vsock, loopback}
)

// Who takes part in a measurement.
var (
	alone        = []*subject{ours}
	resolving    = []*subject{ours, theirs, loopback}
	forwarders   = []*subject{ours, theirs, builtin, vsock} // see notes for pasta
	slirps       = []*subject{ours, theirs}
	withLoopback = []*subject{ours, theirs, pasta, loopback}
	// stacks are all that have a way to the host of their own: RootlessKit's
	// builtin driver only forwards.
	stacks = []*subject{ours, theirs, pasta, vsock, loopback}
)
