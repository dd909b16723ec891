package main

import (
	"math"
	"testing"
)

func TestStrtol(t *testing.T) {
	for _, tt := range []struct {
		in    string
		base  int
		value int64
		rest  string
		ok    bool
	}{
		{"", 10, 0, "", true},
		{" ", 10, 0, " ", true},
		{"+-1", 10, 0, "+-1", true},
		{" \t\n\v\f\r+12x", 10, 12, "x", true},
		{"0x1f", 10, 0, "x1f", true},
		{"0X1fg", 16, 31, "g", true},
		{"0xg", 16, 0, "xg", true},
		{"0x", 16, 0, "x", true},
		{"-0xA:", 16, -10, ":", true},
		{"9223372036854775807", 10, math.MaxInt64, "", true},
		{"9223372036854775808", 10, math.MaxInt64, "", false},
		{"-9223372036854775808", 10, math.MinInt64, "", true},
		{"-9223372036854775809", 10, 0, "", false},
		{"99999999999999999999999x", 10, 0, "x", false},
		{"\u00a01", 10, 0, "\u00a01", true},
	} {
		value, rest, ok := strtol(tt.in, tt.base)
		if rest != tt.rest || ok != tt.ok || ok && value != tt.value {
			t.Errorf("strtol(%q, %d) = %d, %q, %v; want %d, %q, %v",
				tt.in, tt.base, value, rest, ok, tt.value, tt.rest, tt.ok)
		}
	}
}
