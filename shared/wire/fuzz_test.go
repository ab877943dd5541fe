package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

// The reference reads a request the long way, over encoding/json's tokens. It
// says no more than that a request is refused.
var errRefused = errors.New("refused")

// node is a JSON value. Members keep order and repetition.
type node struct {
	kind    byte // { [ s 0
	text    string
	null    bool
	names   []string
	members []*node
}

func parseNode(d *json.Decoder) (*node, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := tok.(type) {
	case json.Delim:
		n := &node{kind: byte(v)}
		for d.More() {
			if v == '{' {
				name, err := d.Token()
				if err != nil {
					return nil, err
				}
				n.names = append(n.names, name.(string))
			}
			m, err := parseNode(d)
			if err != nil {
				return nil, err
			}
			n.members = append(n.members, m)
		}
		_, err := d.Token()
		return n, err
	case string:
		return &node{kind: 's', text: v}, nil
	case json.Number:
		return &node{kind: '0', text: v.String()}, nil
	case bool:
		return &node{kind: '0', text: map[bool]string{true: "true", false: "false"}[v]}, nil
	}
	return &node{kind: '0', null: true}, nil
}

// each calls f for every member whose name is known, in any case.
func (n *node) each(f map[string]func(*node) error) error {
	if n.kind != '{' {
		return errRefused
	}
	for i, name := range n.names {
		for known, g := range f {
			if asciiFold(name, known) {
				if err := g(n.members[i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func asciiFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

type reference struct {
	ports  []service.Port
	frames []*frame.Frame
	params map[string]string
	rows   int
}

func (r *reference) parameters(n *node) error {
	if n.null {
		return nil
	}
	if n.kind != '{' {
		return errRefused
	}
	for i, name := range n.names {
		m := n.members[i]
		if m.null {
			continue
		}
		if _, dup := r.params[name]; dup {
			return errRefused
		}
		if r.params[name] = m.text; m.kind == '{' || m.kind == '[' {
			r.params[name] = "?" // the raw text is compared elsewhere
		}
	}
	return nil
}

func (r *reference) execute(n *node) error {
	given := make([]bool, len(r.ports))
	err := n.each(map[string]func(*node) error{
		"Inputs": func(n *node) error {
			if n.null {
				return nil
			}
			if n.kind != '{' {
				return errRefused
			}
		next:
			for i, name := range n.names {
				for k := range r.ports {
					if r.ports[k].Name == name {
						if n.members[i].null {
							continue next
						}
						if given[k] {
							return errRefused
						}
						given[k] = true
						if err := r.input(k, n.members[i]); err != nil {
							return err
						}
						continue next
					}
				}
				return errRefused
			}
			return nil
		},
		"GlobalParameters": r.parameters,
	})
	for _, g := range given {
		if !g {
			return errors.Join(err, errRefused)
		}
	}
	return err
}

func (r *reference) score(n *node) error {
	given := false
	err := n.each(map[string]func(*node) error{
		"Instance": func(n *node) error {
			return n.each(map[string]func(*node) error{
				"FeatureVector": func(n *node) error {
					if given {
						return errRefused
					}
					given = true
					return r.row(0, n)
				},
				"GlobalParameters": r.parameters,
			})
		},
		"GlobalParameters": r.parameters,
	})
	if !given {
		return errRefused
	}
	return err
}

func (r *reference) input(k int, n *node) error {
	if n.kind == '[' {
		for _, row := range n.members {
			if err := r.row(k, row); err != nil {
				return err
			}
		}
		return nil
	}
	var names, values *node
	err := n.each(map[string]func(*node) error{
		"ColumnNames": func(n *node) error {
			if names != nil {
				return errRefused
			}
			names = n
			return nil
		},
		"Values": func(n *node) error {
			if values != nil {
				return errRefused
			}
			values = n
			return nil
		},
	})
	if err != nil || names == nil || values == nil || names.kind != '[' || values.kind != '[' {
		return errRefused
	}
	for _, name := range names.members {
		if name.kind != 's' {
			return errRefused
		}
	}
	for i := range r.ports[k].Schema {
		if f := &r.ports[k].Schema[i]; !f.Optional {
			found := false
			for _, name := range names.members {
				found = found || name.text == f.Name
			}
			if !found {
				return errRefused
			}
		}
	}
	for _, row := range append([]*node{nil}, values.members...) {
		obj := &node{kind: '{'}
		for _, name := range names.members {
			obj.names = append(obj.names, name.text)
		}
		if row == nil { // names are checked where there is no row, too
			obj.members = make([]*node, len(obj.names))
			for i := range obj.members {
				obj.members[i] = &node{kind: '0', null: true}
			}
			r.rows--
			if err := r.row(k, obj); err != nil {
				return err
			}
			for _, c := range r.frames[k].Cols {
				c.Reset()
			}
			continue
		}
		if row.kind != '[' || len(row.members) != len(obj.names) {
			return errRefused
		}
		obj.members = row.members
		if err := r.row(k, obj); err != nil {
			return err
		}
	}
	return nil
}

func (r *reference) row(k int, n *node) error {
	if r.rows++; n.kind != '{' || r.rows > 100 {
		return errRefused
	}
	f := r.frames[k]
	seen := map[string]bool{}
	for i, name := range n.names {
		c := f.Col(name)
		if c == nil || seen[name] || n.members[i].kind == '{' || n.members[i].kind == '[' {
			return errRefused
		}
		seen[name] = true
		if err := c.AppendText([]byte(n.members[i].text)); err != nil {
			return errRefused
		}
	}
	for _, c := range f.Cols {
		if !seen[c.Field.Name] {
			c.AppendNull()
		}
	}
	return nil
}

// compare holds a decoding to the reference.
func compare(t *testing.T, body []byte, ports []service.Port, decode func(*Decoder, *Ports, []*frame.Frame) error, refer func(*reference, *node) error) {
	p := NewPorts(&service.Manifest{Inputs: ports})
	d := &Decoder{MaxRows: 100}
	got := newFrames(t, ports...)
	err := decode(d, p, got)
	again := newFrames(t, ports...)
	if e := decode(d, p, again); fmt.Sprint(e) != fmt.Sprint(err) || err == nil && !cmp.Equal(show(again, nil), show(got, nil)) {
		t.Fatalf("%q: %v, and when read again: %v", body, err, e)
	}
	if err != nil && fault.Of(err).Kind == fault.Internal {
		t.Fatalf("%q: %v", body, err)
	}
	if bytes.Contains(body, []byte("NaN")) || bytes.Contains(body, []byte("Infinity")) {
		return // which encoding/json refuses
	}
	valid := json.Valid(body) && utf8.Valid(body)
	if !valid {
		if err == nil {
			t.Fatalf("%q is not JSON but was accepted", body)
		}
		return
	}
	if bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) > maxDepth {
		return // the depth limit is another test's
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	n, nerr := parseNode(dec)
	if nerr == io.EOF {
		nerr = errRefused
	}
	if err != nil && strings.Contains(err.Error(), "not valid JSON") {
		t.Fatalf("%q is JSON: %v", body, err)
	}
	ref := &reference{ports: ports, frames: newFrames(t, ports...), params: map[string]string{}}
	if nerr == nil {
		nerr = refer(ref, n)
	}
	if (err == nil) != (nerr == nil) {
		t.Fatalf("%q: %v; the reference: %v", body, err, nerr)
	}
	if err != nil {
		return
	}
	params := map[string]string{}
	for k, v := range d.Parameters() {
		if v != "" && (v[0] == '{' || v[0] == '[') && ref.params[k] == "?" {
			v = "?"
		}
		params[k] = v
	}
	if diff := cmp.Diff(show(ref.frames, ref.params), show(got, params)); diff != "" {
		t.Fatalf("%q:\n%s", body, diff)
	}
}

func FuzzExecute(f *testing.F) {
	for _, s := range []string{
		`{"Inputs":{"input1":{"ColumnNames":["id","age","pay","state"],"Values":[["C1","25","1.5","KS"],[null,25,"","\u00e9\ud83d\ude00"]]},"input2":[{"n":1}]},"GlobalParameters":{"a":[1,{"b":null}],"c":true}}`,
		`{"inputs":{"input2":{"Values":[[1],["2.0"]],"columnnames":["n"]},"input1":[{"age":1,"member":true},{},{"pay":1e5,"age":2}]}}`,
		`{"Inputs":{"input1":[],"input2":[]},"x":[[[]],{"a":{}}]}`,
		`{"Inputs":null}`,
		`{"Inputs":{"input1":[{"age":NaN}],"input2":[]}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ports := []service.Port{people, extra}
		compare(t, body, ports, func(d *Decoder, p *Ports, fs []*frame.Frame) error { return d.Execute(p, body, fs) }, (*reference).execute)
	})
}

func FuzzScore(f *testing.F) {
	for _, s := range []string{
		`{"Id":"score00001","Instance":{"FeatureVector":{"age":"39","state":"KS"},"GlobalParameters":{"a":1}}}`,
		`{"instance":{"globalparameters":null,"featurevector":{}},"GlobalParameters":{}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ports := []service.Port{people}
		compare(t, body, ports, func(d *Decoder, p *Ports, fs []*frame.Frame) error { return d.Score(p, body, fs[0]) }, (*reference).score)
	})
}
