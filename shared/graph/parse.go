package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
)

// Limits of a document.
const (
	MaxBytes = 8 << 20
	MaxNodes = 2_000
	MaxEdges = 10_000
	// MaxName bounds the names of members – nodes, assets, parameters – which
	// problems repeat, however many there are.
	MaxName = 256
)

// Parse reads a document. It refuses what has not the document's form, naming
// the place, as in `nodes.n3.parameters`; what a well-formed document says is
// Validate's affair.
func Parse(body []byte) (*Document, error) {
	if len(body) > MaxBytes {
		return nil, fault.New(fault.TooLarge, "", "the experiment document has %d bytes, the limit is %d", len(body), MaxBytes)
	}
	if !utf8.Valid(body) {
		return nil, bad("the experiment document is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	p := &parser{dec}
	d := &Document{Nodes: make(map[string]*Node), Assets: make(map[string]*Asset)}
	err := p.object("", func(key string) error {
		switch key {
		case "nodes":
			return p.object(key, func(id string) error {
				n, err := p.node(key + "." + id)
				if d.Nodes[id] = n; err == nil && len(d.Nodes) > MaxNodes {
					err = bad("nodes: more than %d", MaxNodes)
				}
				return err
			})
		case "edges":
			return p.array(key, func(i int) error {
				e, err := p.edge(fmt.Sprintf("edges[%d]", i))
				if d.Edges = append(d.Edges, e); err == nil && len(d.Edges) > MaxEdges {
					err = bad("edges: more than %d", MaxEdges)
				}
				return err
			})
		case "assets":
			return p.object(key, func(id string) (err error) {
				d.Assets[id], err = p.asset(key + "." + id)
				return err
			})
		case "graphParameters":
			return p.object(key, func(name string) error {
				q, err := p.param(key+"."+name, name)
				d.Params = append(d.Params, q)
				return err
			})
		}
		return unknown("", key, "nodes, edges, assets, graphParameters")
	})
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, bad("text after the end of the experiment document, at byte %d", dec.InputOffset())
	}
	return d, nil
}

// Skim reads of a document that does not parse what names modules and their
// parameters, as far as it can be made out.
func Skim(body []byte) *Document {
	var loose struct {
		Nodes map[string]struct {
			Module     string                     `json:"module"`
			Parameters map[string]json.RawMessage `json:"parameters"`
		} `json:"nodes"`
	}
	_ = json.Unmarshal(body, &loose) // what is of the wrong type is passed over
	d := &Document{Nodes: make(map[string]*Node, len(loose.Nodes))}
	for id, l := range loose.Nodes {
		n := &Node{Module: l.Module, Parameters: make(map[string]string, len(l.Parameters))}
		for name, raw := range l.Parameters {
			if text := strings.Trim(string(raw), `"`); text != "null" {
				n.Parameters[name] = text
			}
		}
		d.Nodes[id] = n
	}
	return d
}

type parser struct{ dec *json.Decoder }

func bad(format string, args ...any) *fault.Error {
	return fault.New(fault.BadArgument, "RequestBodyInvalid", format, args...)
}

func unknown(place, key, known string) error {
	if place != "" {
		key = place + "." + key
	}
	return bad("%s: unknown member; known here are %s", key, known).At(key)
}

func at(place string) string {
	if place == "" {
		return "the experiment document"
	}
	return place
}

func (p *parser) token(place string) (json.Token, error) {
	t, err := p.dec.Token()
	if err != nil {
		return nil, p.syntax(place, err)
	}
	return t, nil
}

func (p *parser) syntax(place string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return bad("%s: the document ends too early", at(place)).At(place)
	}
	return bad("%s: not JSON at byte %d: %v", at(place), p.dec.InputOffset(), err).At(place)
}

// object reads an object, calling member for each name with the decoder before
// its value.
func (p *parser) object(place string, member func(name string) error) error {
	t, err := p.token(place)
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return bad("%s: must be an object", at(place)).At(place)
	}
	seen := make(map[string]bool)
	for p.dec.More() {
		t, err := p.token(place)
		if err != nil {
			return err
		}
		name, ok := t.(string)
		switch {
		case !ok:
			return bad("%s: must be an object", at(place)).At(place)
		case len(name) > MaxName:
			return bad("%s: a member's name has %d bytes, the limit is %d", at(place), len(name), MaxName).At(place)
		case seen[name]:
			return bad("%s: member %q is there twice", at(place), name).At(place)
		case name == "" && place != "":
			return bad("%s: a member has an empty name", at(place)).At(place)
		}
		seen[name] = true
		if err := member(name); err != nil {
			return err
		}
	}
	_, err = p.token(place)
	return err
}

func (p *parser) array(place string, element func(i int) error) error {
	t, err := p.token(place)
	if err != nil {
		return err
	}
	if t != json.Delim('[') {
		return bad("%s: must be an array", at(place)).At(place)
	}
	for i := 0; p.dec.More(); i++ {
		if err := element(i); err != nil {
			return err
		}
	}
	_, err = p.token(place)
	return err
}

// text reads a value of any JSON type as text: a string's own text, a number
// or truth value as written, an object or array as compact JSON. A null is as
// if it were not there.
func (p *parser) text(place string) (text string, given bool, err error) {
	var raw json.RawMessage
	if err := p.dec.Decode(&raw); err != nil {
		return "", false, p.syntax(place, err)
	}
	switch raw[0] {
	case '"':
		err = json.Unmarshal(raw, &text)
	case 'n':
		return "", false, nil
	case '{', '[':
		var b bytes.Buffer
		err = json.Compact(&b, raw)
		text = b.String()
	default:
		text = string(raw)
	}
	if err != nil {
		return "", false, p.syntax(place, err)
	}
	return text, true, nil
}

func (p *parser) string(place string) (string, error) {
	t, err := p.token(place)
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", bad("%s: must be a string", place).At(place)
	}
	return s, nil
}

func (p *parser) number(place string) (float64, error) {
	t, err := p.token(place)
	if err != nil {
		return 0, err
	}
	if n, ok := t.(json.Number); ok {
		if x, err := n.Float64(); err == nil {
			return x, nil
		}
	}
	return 0, bad("%s: must be a number", place).At(place)
}

func (p *parser) node(place string) (*Node, error) {
	n := &Node{}
	err := p.object(place, func(key string) (err error) {
		sub := place + "." + key
		switch key {
		case "module":
			n.Module, err = p.string(sub)
		case "assetId":
			n.AssetID, err = p.string(sub)
		case "inputId":
			n.InputID, err = p.string(sub)
		case "outputId":
			n.OutputID, err = p.string(sub)
		case "comment":
			n.Comment, err = p.string(sub)
		case "codeVersion":
			var x float64
			x, err = p.number(sub)
			if n.CodeVersion = int(x); err == nil && (x != float64(n.CodeVersion) || x < 1 || x > 1e6) {
				err = bad("%s: must be a positive integer", sub).At(sub)
			}
		case "position":
			n.Position = &Position{}
			err = p.object(sub, func(key string) (err error) {
				switch key {
				case "x":
					n.Position.X, err = p.number(sub + ".x")
				case "y":
					n.Position.Y, err = p.number(sub + ".y")
				default:
					err = unknown(sub, key, "x, y")
				}
				return err
			})
		case "parameters":
			n.Parameters = make(map[string]string)
			err = p.object(sub, func(key string) error {
				text, given, err := p.text(sub + "." + key)
				if given {
					n.Parameters[key] = text
				}
				return err
			})
		default:
			err = unknown(place, key, "module, parameters, codeVersion, assetId, inputId, outputId, position, comment")
		}
		return err
	})
	return n, err
}

func (p *parser) edge(place string) (Edge, error) {
	var e Edge
	err := p.object(place, func(key string) (err error) {
		sub := place + "." + key
		switch key {
		case "sourceNodeId":
			e.SourceNode, err = p.string(sub)
		case "sourcePortId":
			e.SourcePort, err = p.string(sub)
		case "targetNodeId":
			e.TargetNode, err = p.string(sub)
		case "targetPortId":
			e.TargetPort, err = p.string(sub)
		default:
			err = unknown(place, key, "sourceNodeId, sourcePortId, targetNodeId, targetPortId")
		}
		return err
	})
	if err == nil && (e.SourceNode == "" || e.TargetNode == "") {
		err = bad("%s: sourceNodeId and targetNodeId are required", place).At(place)
	}
	return e, err
}

func (p *parser) asset(place string) (*Asset, error) {
	a := &Asset{}
	err := p.object(place, func(key string) (err error) {
		sub := place + "." + key
		switch key {
		case "type":
			var t string
			if t, err = p.string(sub); err == nil && t != "Resource" {
				err = bad("%s: must be Resource, not %q", sub, t).At(sub)
			}
		case "kind":
			var k string
			k, err = p.string(sub)
			a.Kind = service.PortKind(k)
		case "name":
			a.Name, err = p.string(sub)
		case "version":
			a.Version, _, err = p.text(sub) // 3 and "3" are one
		default:
			err = unknown(place, key, "type, kind, name, version")
		}
		return err
	})
	return a, err
}

func (p *parser) param(place, name string) (Param, error) {
	q := Param{}
	q.Name = name
	err := p.object(place, func(key string) (err error) {
		sub := place + "." + key
		switch key {
		case "type":
			var t string
			t, err = p.string(sub)
			q.Type = service.ParamType(t)
		case "description":
			q.Description, err = p.string(sub)
		case "default":
			text, given, err := p.text(sub)
			if given {
				q.Default = &text
			}
			return err
		case "options":
			err = p.array(sub, func(i int) error {
				s, err := p.string(fmt.Sprintf("%s[%d]", sub, i))
				q.Options = append(q.Options, s)
				return err
			})
		case "links":
			err = p.array(sub, func(i int) error {
				l, err := p.link(fmt.Sprintf("%s[%d]", sub, i))
				q.Links = append(q.Links, l)
				return err
			})
		default:
			err = unknown(place, key, "type, description, default, options, links")
		}
		return err
	})
	return q, err
}

func (p *parser) link(place string) (Link, error) {
	var l Link
	err := p.object(place, func(key string) (err error) {
		switch key {
		case "nodeId":
			l.NodeID, err = p.string(place + ".nodeId")
		case "parameterKey":
			l.ParameterKey, err = p.string(place + ".parameterKey")
		default:
			err = unknown(place, key, "nodeId, parameterKey")
		}
		return err
	})
	return l, err
}
