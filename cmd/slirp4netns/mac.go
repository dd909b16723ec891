package main

import (
	"fmt"
	"net"
	"strings"
)

// macLen is the length of an Ethernet address in bytes.
const macLen = 6

// parseMAC reads the argument of --macaddress: up to six hexadecimal bytes
// with colons between them. Bytes that are missing are zero.
//
// slirp4netns: anything but a colon behind a byte ends the address, so that
// "aa-bb-cc-dd-ee-ff" is aa:00:00:00:00:00. That is for the kernel, and for
// whoever reads the banner, to judge: callers get what they got before.
func parseMAC(s string) (net.HardwareAddr, error) {
	mac := make(net.HardwareAddr, macLen)
	rest := s
	for i := range mac {
		v, after, ok := strtol(rest, 16)
		if after == rest || !ok || v < 0 || v > 0xff {
			return nil, macFailure(s, "")
		}
		mac[i] = byte(v)
		if rest, ok = strings.CutPrefix(after, ":"); !ok {
			return mac, nil
		}
	}
	return nil, macFailure(s, "  Is it too long?")
}

// macFailure is both lines of the C program; the second has no line end.
func macFailure(s, hint string) error {
	return plainFailure(fmt.Sprintf("\"%s\" is an invalid MAC address.%s\n", s, hint) +
		"macaddress has to be a valid MAC address (hex string, 6 bytes, each byte separated by a ':').")
}
