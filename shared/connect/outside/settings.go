package outside

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
)

// ParseConnections reads the connections of the settings: a JSON object of
// places by name, each with the Workspaces that may use it. Errors name the
// connection and the rule, and no value.
func ParseConnections(text string) (map[string]Connection, error) {
	if text == "" {
		return nil, nil
	}
	bad := func(format string, args ...any) error { return fault.New(fault.BadArgument, "", format, args...) }
	var raw map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	if err := d.Decode(&raw); err != nil || raw == nil {
		return nil, bad("is not a JSON object of connections by name")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, bad("has something behind its end")
	}
	out := make(map[string]Connection, len(raw))
	for n, name := range slices.Sorted(maps.Keys(raw)) {
		if !validName(name) {
			return nil, bad("the name of connection %d is not 1 to 64 letters, digits, - and _", n+1)
		}
		var c Connection
		d := json.NewDecoder(bytes.NewReader(raw[name]))
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil {
			return nil, bad("connection %q is no place, or has a member that is not known", name)
		}
		switch {
		case !slices.Contains(connect.Kinds(), c.Source):
			return nil, bad("connection %q: Source is not one of %v", name, connect.Kinds())
		case c.Connection != "":
			return nil, bad("connection %q names another connection", name)
		case len(c.Workspaces) == 0:
			return nil, bad("connection %q: Workspaces is not given: name those that may use it, or *", name)
		}
		out[name] = c
	}
	return out, nil
}

func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
