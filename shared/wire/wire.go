// Package wire reads and writes the classic documents: requests and answers of
// RRS, errors, and the swagger description of an endpoint.
//
// Cells are package frame's: a JSON string, number or literal is the text
// that frame's one parser reads, and every cell of an answer is a string that
// its one printer wrote, or null. What is accepted is wider than what the
// classic help pages say, as far as real clients go: see Decoder.
//
// A message about a cell names input, row, column and value. Rows count from
// 1, as the message says.
package wire

import (
	"fmt"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

// Form is a way to write rows.
type Form uint8

const (
	Table  Form = iota // ColumnNames and Values
	Rows               // an array of objects: format=swagger
	Vector             // the 2014 form: one flat array, without names
)

// Ports are the inputs and outputs of a deployment, prepared for reading
// requests and writing answers. They are immutable and for concurrent use.
type Ports struct {
	inputs  []input
	outputs []output
}

type input struct {
	name   string
	schema frame.Schema
	index  map[string]int
}

// NewPorts prepares the ports of a manifest.
func NewPorts(m *service.Manifest) *Ports {
	p := &Ports{inputs: make([]input, len(m.Inputs)), outputs: make([]output, len(m.Outputs))}
	for i, in := range m.Inputs {
		index := make(map[string]int, len(in.Schema))
		for k := range in.Schema {
			index[in.Schema[k].Name] = k
		}
		p.inputs[i] = input{in.Name, in.Schema, index}
	}
	for i, out := range m.Outputs {
		p.outputs[i] = newOutput(out)
	}
	return p
}

func (p *Ports) inputNames() string {
	names := make([]string, len(p.inputs))
	for i := range p.inputs {
		names[i] = p.inputs[i].name
	}
	return strings.Join(names, ", ")
}

// column returns the position of a column. Where columns come in the schema's
// order, guess is right and nothing is looked up.
func (in *input) column(name []byte, guess int) (int, bool) {
	if guess < len(in.schema) && in.schema[guess].Name == string(name) {
		return guess, true
	}
	i, ok := in.index[string(name)]
	return i, ok
}

// Place names an input, and a row of it from 0, in a message.
func Place(input string, row int) string {
	return fmt.Sprintf("input %q, row %d (rows count from 1)", input, row+1)
}

func (in *input) at(row int) string { return Place(in.name, row) }
