// Package e2e has the tests of the built program, in the namespaces of
// package lab: each test connects real guests with bin/slirp4netns and runs
// real clients in them. SLIRP4NETNS_BIN=/usr/bin/slirp4netns runs them
// against the C program.
//
// No test may use an address outside of the lab.
package e2e
