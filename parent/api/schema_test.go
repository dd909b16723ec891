package api

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/parent/api/apitest"
)

func loadSchema(t testing.TB) *apitest.Schema {
	t.Helper()
	s, err := apitest.Load("../../docs/control-socket.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// full is a table that has something to say to each request, optional members
// included.
type full struct{ table }

func (*full) Info() Info { return Info{Offloads: []string{"csum"}, Features: []string{"x"}} }
func (*full) Stats() Stats {
	s := emptyStats()
	s.Switch = &Switch{Peers: 2}
	return s
}
func (*full) Flows() []Flow {
	return []Flow{
		{Proto: "tcp", Origin: "host", Guest: "10.0.2.100:80", Peer: "10.0.2.2:1", Local: "127.0.0.1:2", Remote: "127.0.0.1:1", State: "established", Age: 0.5, GuestBytes: 1 << 60, Inode: 1},
		{Proto: "udp", Origin: "guest", Guest: "[fd00::100]:80", State: "unanswered"},
	}
}

// Requests that the schema allows are done, and those that it does not allow are
// errors, though not the other way round: numbers may have fractions, for
// instance, as with the C program. Each reply is as it says.
func TestSchema(t *testing.T) {
	schema := loadSchema(t)
	back := new(full)
	path := serve(t, back)
	answered := make(map[string]bool)
	check := func(request string) (reply string) {
		verb := ""
		for _, v := range apitest.Verbs {
			if strings.HasPrefix(request, `{"execute":"`+v+`"`) {
				verb = v
			}
		}
		reply = ask(t, path, request)
		if err := schema.Reply(verb, reply); err != nil {
			t.Errorf("%s: %v", request, err)
		}
		if !strings.HasPrefix(reply, `{"error"`) {
			answered[verb] = true
		}
		return reply
	}
	for _, request := range []string{
		fmt.Sprintf(addTCP, 8080),
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":0,"guest_port":65535}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"udp6","host_addr":"","host_port":1000,"host_port_end":1099,"guest_addr":"fd00::5","guest_port":2000}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"udp","host_port":1e3,"guest_port":80.5,"more":[]},"more":{}}`,
		`{"execute":"list_hostfwd"}`, `{"execute":"list_hostfwd","arguments":{}}`,
		`{"execute":"remove_hostfwd","arguments":{"id":1}}`,
		`{"execute":"remove_hostfwd","arguments":{"id":2,"drain":false}}`,
		`{"execute":"query_info"}`, `{"execute":"query_stats"}`, `{"execute":"list_flows"}`,
	} {
		if err := schema.Request(request); err != nil {
			t.Errorf("not allowed: %v", err)
		}
		if reply := check(request); strings.HasPrefix(reply, `{"error"`) {
			t.Errorf("%s: %s", request, reply)
		}
	}
	for _, v := range apitest.Verbs {
		if !answered[v] {
			t.Errorf("%s was not asked", v)
		}
	}
	for _, request := range []string{
		`[]`, `"x"`, `{}`, `{"execute":1}`, `{"execute":"x"}`, `{"Execute":"list_hostfwd"}`,
		`{"execute":"add_hostfwd"}`, `{"execute":"add_hostfwd","arguments":{}}`, `{"execute":"add_hostfwd","arguments":[]}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"sctp","host_port":1,"guest_port":1}}`,
		`{"execute":"add_hostfwd","arguments":{"host_port":1,"guest_port":1}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","guest_port":1}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":-1,"guest_port":1}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":65536,"guest_port":1}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":"1","guest_port":1}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"guest_port":0}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"host_port_end":0,"guest_port":1}}`,
		`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"host_port_end":65536,"guest_port":1}}`,
		`{"execute":"remove_hostfwd"}`, `{"execute":"remove_hostfwd","arguments":{"id":0}}`,
		`{"execute":"remove_hostfwd","arguments":{"id":"1"}}`, `{"execute":"remove_hostfwd","arguments":{"id":3,"drain":1}}`,
	} {
		if schema.Request(request) == nil {
			t.Errorf("allowed: %s", request)
		}
		if reply := check(request); !strings.HasPrefix(reply, `{"error":{"desc":"bad request: `) {
			t.Errorf("%s: %s", request, reply)
		}
	}
}

// control-socket.md explains each reason for which packets are dropped.
func TestDropsAreExplained(t *testing.T) {
	b, err := os.ReadFile("../../docs/control-socket.md")
	if err != nil {
		t.Fatal(err)
	}
	for reason := range emptyStats().Drops {
		if !strings.Contains(string(b), "\n| `"+reason+"` | ") {
			t.Errorf("%s is not explained", reason)
		}
	}
}

// The schema takes nothing that lacks a member, or has one that it does not name.
func TestSchemaIsStrict(t *testing.T) {
	schema := loadSchema(t)
	for verb, reply := range map[string]string{
		"add_hostfwd":    `{"return":{}}`,
		"list_hostfwd":   `{"entries":[]}`,
		"remove_hostfwd": `{"return":{"id":1}}`,
		"query_info":     `{"return":{"version":"1"}}`,
		"query_stats":    `{"return":{}}`,
		"list_flows":     `{"return":{"flows":[{}]}}`,
		"":               `{"error":{"desc":"too bad"}}`,
	} {
		if schema.Reply(verb, reply) == nil {
			t.Errorf("%s: %s was taken", verb, reply)
		}
	}
	for _, reply := range []string{`{"return":{"id":1,"new":2}}`, `{"return":{"id":1},"new":2}`, `{"error":{"desc":"bad request: x","why":""}}`, `{}`} {
		if schema.Reply("add_hostfwd", reply) == nil {
			t.Errorf("%s was taken", reply)
		}
	}
}
