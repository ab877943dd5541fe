// Package graph is the experiment document: a graph of modules in the
// vocabulary of the classic web service definition. It parses documents,
// reports all their problems at once, puts nodes in order, and cuts out of an
// experiment what a web service needs. It does no I/O.
package graph

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
)

// Document is an experiment, or the part of one that a deployment keeps.
type Document struct {
	Nodes  map[string]*Node
	Edges  []Edge
	Assets map[string]*Asset
	// Params are the graph parameters, which callers know as global
	// parameters, in the order of the document.
	Params []Param
}

// Node is a vertex: exactly one of Module, AssetID, InputID and OutputID is
// set in a document without problems.
type Node struct {
	Module      string
	CodeVersion int // of the module; 0 = the newest
	Parameters  map[string]string
	AssetID     string // a dataset, trained model or transformation of the workspace
	InputID     string // a Web Service Input of that name
	OutputID    string // a Web Service Output of that name

	Position *Position // where an editor shows the node
	Comment  string
}

// Position is a place on the editor's canvas.
type Position struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// Edge joins an output port to an input port. Port ids may be left out where
// there is only one port.
type Edge struct {
	SourceNode string `json:"sourceNodeId"`
	SourcePort string `json:"sourcePortId,omitempty"`
	TargetNode string `json:"targetNodeId"`
	TargetPort string `json:"targetPortId,omitempty"`
}

// Asset is a saved thing of the workspace that nodes may stand for.
type Asset struct {
	Kind    service.PortKind
	Name    string // of the dataset or model
	Version string // a number, or "" or "latest"
}

// Number is the version that the asset names, 0 for the newest: "" or
// "latest".
func (a *Asset) Number() (int, error) {
	if a.Version == "" || a.Version == "latest" {
		return 0, nil
	}
	n, err := strconv.Atoi(a.Version)
	if err != nil || n < 1 {
		return 0, fault.New(fault.BadArgument, "BadParameterValue", "version %q is neither a number from 1 nor \"latest\"", a.Version)
	}
	return n, nil
}

// Param is a graph parameter.
type Param struct {
	service.Parameter
	Links []Link
}

// Link binds a graph parameter to a parameter of a node.
type Link struct {
	NodeID       string `json:"nodeId"`
	ParameterKey string `json:"parameterKey"`
}

// Kind is what an experiment is for. It follows from the graph and is never
// stored.
type Kind string

const (
	Training   Kind = "training"
	Predictive Kind = "predictive"
	Data       Kind = "data" // no model at all
)

// Clone returns a deep copy.
func (d *Document) Clone() *Document {
	c := &Document{Nodes: make(map[string]*Node, len(d.Nodes)), Edges: slices.Clone(d.Edges), Assets: make(map[string]*Asset, len(d.Assets))}
	for id, n := range d.Nodes {
		m := *n
		m.Parameters = make(map[string]string, len(n.Parameters))
		for k, v := range n.Parameters {
			m.Parameters[k] = v
		}
		c.Nodes[id] = &m
	}
	for id, a := range d.Assets {
		b := *a
		c.Assets[id] = &b
	}
	for _, p := range d.Params {
		p.Links = slices.Clone(p.Links)
		p.Options = slices.Clone(p.Options)
		c.Params = append(c.Params, p)
	}
	return c
}

// The encoded form. Fields are in the order in which canonical bytes have them.
type documentJSON struct {
	Nodes  map[string]nodeJSON  `json:"nodes"`
	Edges  []Edge               `json:"edges,omitempty"`
	Assets map[string]assetJSON `json:"assets,omitempty"`
	Params paramsJSON           `json:"graphParameters,omitempty"`
}

type nodeJSON struct {
	Module      string            `json:"module,omitempty"`
	CodeVersion int               `json:"codeVersion,omitempty"`
	Parameters  map[string]string `json:"parameters,omitempty"`
	AssetID     string            `json:"assetId,omitempty"`
	InputID     string            `json:"inputId,omitempty"`
	OutputID    string            `json:"outputId,omitempty"`
	Position    *Position         `json:"position,omitempty"`
	Comment     string            `json:"comment,omitempty"`
}

type assetJSON struct {
	Type    string           `json:"type"` // Resource
	Kind    service.PortKind `json:"kind"`
	Name    string           `json:"name,omitempty"`
	Version string           `json:"version,omitempty"`
}

type paramJSON struct {
	Type        service.ParamType `json:"type"`
	Description string            `json:"description,omitempty"`
	Default     *string           `json:"default,omitempty"`
	Options     []string          `json:"options,omitempty"`
	Links       []Link            `json:"links,omitempty"`
}

// paramsJSON is a JSON object that keeps the order of its members.
type paramsJSON []Param

func (ps paramsJSON) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range ps {
		if i > 0 {
			b.WriteByte(',')
		}
		encode(&b, p.Name)
		b.WriteByte(':')
		encode(&b, paramJSON{p.Type, p.Description, p.Default, p.Options, p.Links})
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode appends v without HTML escaping; v is of this package's own types,
// which always encode.
func encode(b *bytes.Buffer, v any) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("graph: " + err.Error())
	}
	b.Truncate(b.Len() - 1) // the newline
}

// Bytes writes the document. Equal documents give equal bytes.
func (d *Document) Bytes() []byte { return d.bytes(true) }

// Canonical writes what decides the document's results: without positions and
// comments, edges in one order. Two documents with equal canonical bytes run
// alike.
func (d *Document) Canonical() []byte { return d.bytes(false) }

func (d *Document) bytes(all bool) []byte {
	out := documentJSON{Nodes: make(map[string]nodeJSON, len(d.Nodes)), Assets: make(map[string]assetJSON, len(d.Assets)), Params: d.Params}
	for id, n := range d.Nodes {
		j := nodeJSON{Module: n.Module, CodeVersion: n.CodeVersion, Parameters: n.Parameters, AssetID: n.AssetID, InputID: n.InputID, OutputID: n.OutputID}
		if all {
			j.Position, j.Comment = n.Position, n.Comment
		}
		out.Nodes[id] = j
	}
	for id, a := range d.Assets {
		out.Assets[id] = assetJSON{"Resource", a.Kind, a.Name, a.Version}
	}
	out.Edges = slices.Clone(d.Edges)
	if !all {
		slices.SortFunc(out.Edges, func(a, b Edge) int {
			return strings.Compare(a.key(), b.key())
		})
	}
	var b bytes.Buffer
	encode(&b, out)
	return b.Bytes()
}

func (e Edge) key() string {
	return e.TargetNode + "\x00" + e.TargetPort + "\x00" + e.SourceNode + "\x00" + e.SourcePort
}
