package main

import "testing"

// TestPorts: no two servers of the host want one port.
func TestPorts(t *testing.T) {
	taken := make(map[int]string)
	take := func(what string, port, n int) {
		for p := port; p < port+n; p++ {
			if other, ok := taken[p]; ok {
				t.Errorf("%s and %s both want port %d", other, what, p)
			}
			taken[p] = what
		}
	}
	take("iperf3", iperfPort, 1)
	take("bytes", bytePort, 1)
	take("datagrams", echoPort, 1)
	take("source", sourcePort, 1)
	take("second", holdPort, 1)
	take("gaps", gapPort, 1)
	take("web", webPort, 1)
	take("forward", forwardPort, 1)
	take("visits", visitPort, visitPorts)
}
