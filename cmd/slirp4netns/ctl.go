package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/slirp4netns-go/slirp4netns/parent"
)

// ctlUsage is that of the subcommand.
const ctlUsage = `Usage: slirp4netns ctl SOCKET COMMAND [--json]
Talk to a running slirp4netns through its --api-socket.

info                                      what it is and what it can do
stats                                     counters since it was started
flows                                     connections, UDP flows and pings
forwards                                  forwarded ports
add [ADDR:][PORT]:GUESTPORT[/PROTO]       forward a port of the host, or a range
remove ID [--cut]                         end a forward; --cut: and its connections
`

// ctlTimeout is how long a reply may take. The other side gives up sooner.
const ctlTimeout = 15 * time.Second

// ctlCommand is one command: the request that it sends, and how its reply is
// shown to people.
type ctlCommand struct {
	operands int
	request  func(operands []string, cut bool) (any, error)
	show     func(w io.Writer, reply json.RawMessage) error
}

// request is one of the control socket.
type request struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
}

// verb is a request without arguments.
func verb(name string) func([]string, bool) (any, error) {
	return func([]string, bool) (any, error) { return request{Execute: name}, nil }
}

var ctlCommands = map[string]ctlCommand{
	"info":     {request: verb("query_info"), show: showInfo},
	"stats":    {request: verb("query_stats"), show: showStats},
	"flows":    {request: verb("list_flows"), show: showFlows},
	"forwards": {request: verb("list_hostfwd"), show: showForwards},
	"add":      {operands: 1, request: addRequest, show: showAdded},
	"remove":   {operands: 1, request: removeRequest, show: showNothing},
}

// ctl is the subcommand. It returns the exit status.
func ctl(args []string, stdout, stderr io.Writer) int {
	var operands []string
	asJSON, cut := false, false
	for _, a := range args {
		switch a {
		case "--json":
			asJSON = true
		case "--cut":
			cut = true
		case "-h", "--help":
			io.WriteString(stdout, ctlUsage)
			return 0
		default:
			operands = append(operands, a)
		}
	}
	var c ctlCommand
	if len(operands) >= 2 {
		c = ctlCommands[operands[1]]
	}
	if c.request == nil || len(operands) != 2+c.operands || cut && operands[1] != "remove" {
		io.WriteString(stderr, ctlUsage)
		return 1
	}
	reply, err := ctlDo(operands[0], c, operands[2:], cut)
	if err == nil && asJSON {
		_, err = fmt.Fprintf(stdout, "%s\n", reply)
	} else if err == nil {
		err = c.show(stdout, reply)
	}
	if err != nil {
		fmt.Fprintf(stderr, "slirp4netns ctl %s: %v\n", strings.Join(operands[1:], " "), err)
		return 1
	}
	return 0
}

// ctlDo sends a command's request and returns what "return" holds.
func ctlDo(socket string, c ctlCommand, operands []string, cut bool) (json.RawMessage, error) {
	req, err := c.request(operands, cut)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	text, err = ctlAsk(socket, text)
	if err != nil {
		return nil, ctlExplain(socket, err)
	}
	var reply struct {
		Return  json.RawMessage
		Entries json.RawMessage
		Error   *struct{ Desc, Cause string }
	}
	if err := json.Unmarshal(text, &reply); err != nil {
		return nil, noControlSocket(socket, text)
	}
	switch e := reply.Error; {
	case e != nil && e.Cause != "":
		return nil, errors.New(e.Cause)
	case e != nil && e.Desc == "bad request: unknown execute":
		return nil, errors.New("the slirp4netns there does not know this request: it is the C program, or an older one")
	case e != nil && e.Desc != "":
		return nil, errors.New(e.Desc)
	case reply.Return == nil && reply.Entries != nil:
		return text, nil // the C program's list_hostfwd
	case reply.Return == nil:
		return nil, noControlSocket(socket, text)
	}
	return reply.Return, nil
}

// addRequest is that of a forward as --publish has it.
func addRequest(operands []string, _ bool) (any, error) {
	p, err := parsePublish(operands[0])
	if err != nil {
		return nil, err
	}
	return request{"add_hostfwd", forwardArguments(p)}, nil
}

// forwardArguments are those of add_hostfwd.
func forwardArguments(p parent.Publish) map[string]any {
	args := map[string]any{
		"proto":      p.Network,
		"host_addr":  p.Host.Addr().String(),
		"host_port":  p.Host.Port(),
		"guest_port": p.GuestPort,
	}
	if p.End != 0 {
		args["host_port_end"] = p.End
	}
	return args
}

func removeRequest(operands []string, cut bool) (any, error) {
	id, err := strconv.Atoi(operands[0])
	if err != nil {
		return nil, fmt.Errorf("%q is no ID, which is a number", operands[0])
	}
	return request{"remove_hostfwd", map[string]any{"id": id, "drain": !cut}}, nil
}
