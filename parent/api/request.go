package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
)

// invalid is what a request is that is no JSON.
type invalid struct{}

// errName is a member's name with a NUL in it.
var errName = errors.New("NUL in a name")

// errDuplicate is an object with two members of one name.
var errDuplicate = errors.New("duplicate member")

// parse reads the first JSON value of b: a map[string]any, []any, string,
// json.Number, bool or nil; or it is invalid{}. What follows it does not
// matter. more tells that b may be the beginning of a value.
//
// slirp4netns: like the C program's parser it takes a byte order mark, and no
// object with two members of one name.
func parse(b []byte) (v any, more bool) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	b = bytes.TrimLeft(b, " \t\n\v\f\r")
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := value(d, maxDepth)
	switch {
	case err == nil:
		return v, false
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return invalid{}, true
	}
	return invalid{}, false
}

// maxDepth is how deep a request may nest.
const maxDepth = 2048

// errDepth is a request that nests too deep.
var errDepth = errors.New("nested too deep")

// value reads one value, token by token.
func value(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	open, ok := t.(json.Delim)
	if !ok {
		if n, ok := t.(json.Number); ok {
			if f, err := n.Float64(); err != nil || math.IsInf(f, 0) {
				return nil, strconv.ErrRange
			}
		}
		return t, nil
	}
	if depth == 0 {
		return nil, errDepth
	}
	var list []any
	object := make(map[string]any)
	for d.More() {
		name := ""
		if open == '{' {
			t, err := d.Token()
			if err != nil {
				return nil, err
			}
			if name = t.(string); strings.ContainsRune(name, 0) {
				return nil, errName
			}
		}
		v, err := value(d, depth-1)
		if err != nil {
			return nil, err
		}
		if open == '[' {
			list = append(list, v)
			continue
		}
		if _, twice := object[name]; twice {
			return nil, errDuplicate
		}
		object[name] = v
	}
	if _, err := d.Token(); err != nil { // the closing one
		return nil, err
	}
	if open == '[' {
		return list, nil
	}
	return object, nil
}

// arguments are those of a request. Missing ones are zero values, as for the
// C program.
type arguments map[string]any

// text is a string argument; "" when it is none.
func (a arguments) text(name string) string {
	s, _ := a[name].(string)
	return s
}

// number is a numeric argument, truncated to an integer. It reports false when
// it is none, or beyond what an int holds.
func (a arguments) number(name string) (int, bool) {
	n, ok := a[name].(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	if err != nil || math.Abs(f) > math.MaxInt32 {
		return 0, false
	}
	return int(f), true
}

// port is a port number, and whether it is one.
func (a arguments) port(name string) (uint16, bool) {
	n, ok := a.number(name)
	if !ok || n < 0 || n > math.MaxUint16 {
		return 0, false
	}
	return uint16(n), true
}
