package main

import (
	"math"
	"strings"
)

// strtol reads a number as strtol(3) does in the C locale: white space, a
// sign, "0x" in base 16, then as many digits as there are. It returns what is
// behind them, or all of s where there is no digit. ok is false for what does
// not fit into 64 bits.
//
// The callers of the C program may rely on what it takes for a number: "+1",
// " 12", "010" (ten) and, for file descriptors, "" (zero).
func strtol(s string, base int) (value int64, rest string, ok bool) {
	digits := strings.TrimLeft(s, " \t\n\v\f\r")
	negative := false
	if digits != "" && (digits[0] == '+' || digits[0] == '-') {
		negative = digits[0] == '-'
		digits = digits[1:]
	}
	if base == 16 && len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X") && digitOf(digits[2]) < 16 {
		digits = digits[2:]
	}
	// The magnitude stays below 2^63+1; one more digit and it is too large.
	const limit = math.MaxInt64
	var magnitude uint64
	n := 0
	ok = true
	for ; n < len(digits); n++ {
		d := digitOf(digits[n])
		if d >= base {
			break
		}
		if magnitude > (limit+1-uint64(d))/uint64(base) {
			ok = false
			continue // the rest begins after the last digit all the same
		}
		magnitude = magnitude*uint64(base) + uint64(d)
	}
	switch {
	case n == 0:
		return 0, s, true
	case negative:
		return int64(-magnitude), digits[n:], ok
	case magnitude > limit:
		return limit, digits[n:], false
	}
	return int64(magnitude), digits[n:], ok
}

// digitOf is the value of a digit or letter, 36 and more for anything else.
func digitOf(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'Z':
		return int(c-'A') + 10
	}
	return 255
}

// parseInt reads a whole argument as a decimal C int. Like the C program it
// cuts a larger number down to 32 bits.
func parseInt(s string) (int, bool) {
	v, rest, ok := strtol(s, 10)
	return int(int32(v)), ok && rest == ""
}
