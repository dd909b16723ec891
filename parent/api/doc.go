// Package api is the control socket: a UNIX stream socket that takes one JSON
// request for each connection, answers with one JSON object, and closes.
// docs/control-socket.md describes the requests.
//
// The protocol is the C program's, and callers (Podman, RootlessKit, scripts)
// depend on its bytes: one write for each reply and no newline after it, IDs
// from 1, the texts of errors and the order in which arguments are checked.
// What is new is in further fields and further requests.
//
// Each client has a goroutine and a time limit, and there are only so many at
// once, so a client that is idle, slow or deaf holds up nobody. Nothing here
// runs on a goroutine of the data plane.
//
// Who calls it: parent makes the Socket, dataplane is the Backend. What it must
// not do: know what a forward is beyond its description.
package api
