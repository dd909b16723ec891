package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
)

// Backend is what requests are about. Its methods are called on several
// goroutines at once.
type Backend interface {
	// AddForward returns f with its ID, and its port where f left that open.
	AddForward(f Forward) (Forward, error)
	// RemoveForward returns an error that is ErrUnknown if there is none. With
	// drain established connections go on.
	RemoveForward(id int, drain bool) error
	// Forwards are all, in the order of their IDs.
	Forwards() []Forward
	// DefaultGuest is the guest of a forward that names none.
	DefaultGuest() netip.Addr

	Info() Info
	Stats() Stats
	Flows() []Flow
}

// ErrUnknown is an ID that no forward has.
var ErrUnknown = errors.New("no such forward")

// failure is why a request was not done. The desc is the C program's.
type failure struct {
	Desc  string `json:"desc"`
	Cause string `json:"cause,omitempty"`
}

// badRequest is a failure without a cause.
func badRequest(what string) *failure { return &failure{Desc: "bad request: " + what} }

// because adds the cause to a failure.
func (f *failure) because(err error) *failure {
	f.Cause = err.Error()
	return f
}

// answer does a request and returns the reply.
func (s *Server) answer(request []byte, v any) []byte {
	reply, f := s.execute(request, v)
	if f != nil {
		reply = map[string]any{"error": f}
	}
	b, err := json.Marshal(reply)
	if err != nil {
		// No reply has a type that cannot be marshalled.
		return []byte(fmt.Sprintf(`{"error":{"desc":"bad request: %T"}}`, reply))
	}
	return b
}

// execute does a request. The checks are in the order of the C program's.
func (s *Server) execute(request []byte, v any) (any, *failure) {
	if len(request) >= maxRequest {
		return nil, badRequest("too large message")
	}
	if _, bad := v.(invalid); bad {
		return nil, badRequest("cannot parse JSON")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, badRequest("json_object() failed")
	}
	verb, ok := object["execute"].(string)
	if !ok {
		return nil, badRequest("no execute found")
	}
	args, _ := object["arguments"].(map[string]any)
	switch verb {
	case "add_hostfwd":
		return s.addHostfwd(args)
	case "list_hostfwd":
		return s.listHostfwd(), nil
	case "remove_hostfwd":
		return s.removeHostfwd(args)
	case "query_info":
		return returned{s.backend.Info()}, nil
	case "query_stats":
		return returned{s.backend.Stats()}, nil
	case "list_flows":
		flows := s.backend.Flows()
		if flows == nil {
			flows = []Flow{}
		}
		return returned{map[string][]Flow{"flows": flows}}, nil
	}
	return nil, badRequest("unknown execute")
}

// returned is the reply to a request that was done.
type returned struct {
	Return any `json:"return"`
}
