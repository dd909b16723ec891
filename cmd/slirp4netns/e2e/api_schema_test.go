package e2e

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/parent/api"
	"github.com/slirp4netns-go/slirp4netns/parent/api/apitest"
)

func apiSchema(t *testing.T) *apitest.Schema {
	t.Helper()
	s, err := apitest.Load("../../../docs/control-socket.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Real replies to every request are as docs/control-socket.schema.json has them,
// without a member that it does not name: those of a slirp4netns that carries
// something of everything, and of one with a switch.
func TestAPISchema(t *testing.T) {
	t.Parallel()
	schema := apiSchema(t)
	g, _, path := controlled(t, "--enable-ipv6")
	serveTCP(t, g, "0.0.0.0:80", func(c *net.TCPConn) { readAll(c) })
	serveUDP(t, g, "0.0.0.0:81", whoami)
	answered := make(map[string]bool)
	check := func(path, verb, arguments string) (reply string) {
		t.Helper()
		request := fmt.Sprintf(`{"execute":%q%s}`, verb, arguments)
		if err := schema.Request(request); err != nil {
			t.Errorf("a request that is not allowed: %v", err)
		}
		reply = askAPI(t, path, request)
		if err := schema.Reply(verb, reply); err != nil {
			t.Errorf("%s: %v", request, err)
		}
		if !strings.HasPrefix(reply, `{"error"`) {
			answered[verb] = true
		}
		return reply
	}
	for _, arguments := range []string{
		`"proto":"tcp","host_addr":"127.0.0.1","host_port":28110,"guest_port":80`,
		`"proto":"udp","host_addr":"127.0.0.1","host_port":28110,"guest_port":81`,
		`"proto":"tcp6","host_addr":"::1","host_port":0,"guest_addr":"fd00::100","guest_port":80`,
		`"proto":"udp4","host_port":28111,"host_port_end":28119,"guest_addr":"0.0.0.0","guest_port":80`,
		`"proto":"tcp","host_addr":"127.0.0.1","host_port":28110,"guest_port":80`, // which is taken
	} {
		check(path, "add_hostfwd", `,"arguments":{`+arguments+`}`)
	}
	dialHost(t, 28110)
	if _, err := (client{to: "127.0.0.1"}).answer("udp", 28110); err != nil {
		t.Error(err)
	}
	pairUp(t, g)
	if err := udpEcho(g, "198.51.100.2:7", 1); err != nil {
		t.Error(err)
	}
	g.Run(t, commandTimeout, "ping", "-c1", "198.51.100.2")
	kinds := make(map[string]bool)
	for _, f := range flows(t, path) {
		kinds[f.Proto+" of the "+f.Origin] = true
	}
	if got, want := slices.Sorted(maps.Keys(kinds)), []string{"icmp of the guest", "tcp of the guest", "tcp of the host", "udp of the guest", "udp of the host"}; !slices.Equal(got, want) {
		t.Errorf("there are flows of %v, want %v", got, want)
	}
	check(path, "query_info", "")
	check(path, "query_stats", "")
	check(path, "list_flows", "")
	check(path, "list_hostfwd", "")
	check(path, "remove_hostfwd", `,"arguments":{"id":4,"drain":false}`)
	check(path, "remove_hostfwd", `,"arguments":{"id":4}`) // which is gone
	for _, verb := range apitest.Verbs {
		if !answered[verb] {
			t.Errorf("%s was never done", verb)
		}
	}

	bess := socketPath(t, user)
	startBESS(t, "--api-socket="+bess)
	check(bess, "query_stats", "")
	check(bess, "query_info", "")
	if asked[api.Stats](t, bess, "query_stats").Switch == nil {
		t.Error("no switch")
	}
}
