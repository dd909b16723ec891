// Package child is the privileged stage: a short-lived process in the guest's
// user and network namespaces that makes one TAP for the parent.
//
// The parent starts it through ipc/door, so that it is inside before its
// runtime starts. It answers one request (ipc), and exits.
//
// Callers: cmd/slirp-child, which is this package alone, and cmd/slirp4netns,
// which runs it when started for the stage [Stage].
//
// Should: close what it inherited, check what the door did, make or attach to
// the TAP, configure it when asked, hand it over, exit. Start fast.
//
// Mustn't: import the network stack; outlive the parent; be traceable by the
// guest's root (the door sees to it); do anything that the one request does
// not name.
package child
