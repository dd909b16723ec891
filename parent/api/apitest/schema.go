// Package apitest holds what passes over a control socket against
// docs/control-socket.schema.json. It is for tests only: those of package api,
// and those of the built program.
package apitest

import (
	"fmt"
	"os"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is the compiled one.
type Schema struct{ parts map[string]*jsonschema.Schema }

// Verbs are all requests that it describes.
var Verbs = []string{"add_hostfwd", "list_hostfwd", "remove_hostfwd", "query_info", "query_stats", "list_flows"}

// Load reads the schema from a file. Unlike clients, who are asked to pass over
// what they do not know, the result takes no member of a reply that the schema
// does not name: there is none that is not documented.
func Load(path string) (*Schema, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defs, _ := doc.(map[string]any)["$defs"].(map[string]any)
	for name, d := range defs {
		if !strings.HasSuffix(name, "_request") {
			shut(d)
		}
	}
	const url = "control-socket.schema.json"
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(url, doc); err != nil {
		return nil, err
	}
	s := &Schema{make(map[string]*jsonschema.Schema)}
	for name := range defs {
		if s.parts[name], err = c.Compile(url + "#/$defs/" + name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// shut has every object below d refuse members that it does not name.
func shut(d any) {
	switch d := d.(type) {
	case map[string]any:
		if _, ok := d["properties"]; ok {
			d["additionalProperties"] = false
		}
		for _, v := range d {
			shut(v)
		}
	case []any:
		for _, v := range d {
			shut(v)
		}
	}
}

// Request tells what is wrong with a request.
func (s *Schema) Request(text string) error { return s.check("request", text) }

// Reply tells what is wrong with a reply: to verb, or an error. If verb is "" it
// may be to any.
func (s *Schema) Reply(verb, text string) error {
	switch {
	case verb == "":
		return s.check("reply", text)
	case strings.HasPrefix(text, `{"error"`):
		return s.check("error", text)
	}
	return s.check(verb+"_reply", text)
}

func (s *Schema) check(part, text string) error {
	schema, ok := s.parts[part]
	if !ok {
		return fmt.Errorf("the schema has no %s", part)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	if err := schema.Validate(v); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}
