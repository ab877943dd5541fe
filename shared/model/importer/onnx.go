package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/onnx"
)

// InputBinding says which columns fill a tensor that an ONNX model reads: one
// by its name, or a list of them.
type InputBinding []string

// UnmarshalJSON accepts a name or a list of names.
func (i *InputBinding) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		return json.Unmarshal(b, (*[]string)(i))
	}
	var name string
	err := json.Unmarshal(b, &name)
	*i = InputBinding{name}
	return err
}

// OutputBinding says which of an ONNX model's outputs are what. A regression's
// answer counts as probabilities too.
type OutputBinding struct {
	Label         string `json:"label"`
	Probabilities string `json:"probabilities"`
	Classes       texts  `json:"classes"` // in the order of the probabilities
}

func refuseONNX(text string, args ...any) error {
	return fault.New(fault.Package, "FormatError", "ONNX model: "+text, args...)
}

// loadONNX makes a model of a graph. Which answer it is that counts, and how
// wide the tensors are, the binding or the schema table may have to say.
func loadONNX(file []byte, b *Binding, s *sample) (*model.Foreign, error) {
	f, err := onnx.Read(file)
	if err != nil {
		return nil, refuseONNX("%v", err)
	}
	l := &onnxLoader{file: f, binding: b, sample: s, m: &model.Foreign{
		Format: "ONNX", Library: f.Producer(), Learner: "ONNX graph", Engine: model.EngineONNX,
	}}
	if l.m.Library != "" {
		l.m.Learner += " of " + l.m.Library
	}
	answer, err := l.answer()
	if err != nil {
		return nil, err
	}
	widths, err := l.columns()
	if err != nil {
		return nil, err
	}
	if l.m.Body, err = f.Canonical(answer, widths); err != nil {
		return nil, refuseONNX("%v", err)
	}
	graph, err := onnx.Open(l.m.Body)
	if err != nil {
		return nil, refuseONNX("%v", err)
	}
	if err := l.kind(answer, graph); err != nil {
		return nil, err
	}
	return l.m, l.agree(answer, widths)
}

type onnxLoader struct {
	file    *onnx.File
	binding *Binding
	sample  *sample
	m       *model.Foreign
}

// answer finds the output whose numbers are the scores.
func (l *onnxLoader) answer() (onnx.Output, error) {
	outputs := l.file.Outputs()
	var numbers []onnx.Output
	var names []string
	for _, o := range outputs {
		names = append(names, o.Name)
		if o.Type == onnx.Float || o.Type == onnx.Double {
			numbers = append(numbers, o)
		}
	}
	if said := l.binding.Outputs; said != nil && said.Probabilities != "" {
		for _, o := range outputs {
			if o.Name == said.Probabilities {
				return o, nil
			}
		}
		return onnx.Output{}, fault.New(fault.BadUserArgument, "", "the binding names output %q: the graph has %q", said.Probabilities, names)
	}
	if len(numbers) == 1 {
		return numbers[0], nil
	}
	for _, o := range numbers {
		if o.Classes != nil || strings.Contains(o.Name, "prob") {
			return o, nil
		}
	}
	if len(numbers) == 0 {
		return onnx.Output{}, refuseONNX("its outputs %q are no numbers: convert it with its probabilities or scores", names)
	}
	return onnx.Output{}, fault.New(fault.BadUserArgument, "BindingIncomplete", "the graph has outputs %q: say by outputs.probabilities which is the score", names)
}

// columns lists the features in the order of the tensors' columns, and how
// many each tensor has.
func (l *onnxLoader) columns() ([]int, error) {
	inputs := l.file.Inputs()
	known := map[string]bool{}
	for _, in := range inputs {
		known[in.Name] = true
	}
	for name := range l.binding.Inputs {
		if !known[name] {
			return nil, fault.New(fault.BadUserArgument, "", "the binding names input %q, which the graph does not have", name)
		}
	}
	widths := make([]int, len(inputs))
	total := 0
	for i, in := range inputs {
		names := []string(l.binding.Inputs[in.Name])
		width := in.Width
		if names == nil && width != 1 && len(inputs) == 1 {
			names = l.fromSample(width)
		}
		switch {
		case width == 0 && names != nil:
			width = len(names)
		case width == 0 && len(inputs) == 1 && len(l.binding.Features) > 0:
			width = len(l.binding.Features)
		case width == 0:
			return nil, fault.New(fault.BadUserArgument, "BindingIncomplete",
				"the file does not say how many columns input %q has: list them in the binding, as \"inputs\": {%q: [\"a\", \"b\"]}", in.Name, in.Name)
		case names != nil && len(names) != width:
			return nil, fault.New(fault.BadUserArgument, "", "the binding gives input %q %d columns, it has %d", in.Name, len(names), width)
		}
		if width > onnx.MaxFeatures-total {
			return nil, refuseONNX("with input %q of %d columns it reads more than %d features, which is the limit", in.Name, width, onnx.MaxFeatures)
		}
		widths[i] = width
		total += width
		for k := range width {
			f := model.ForeignFeature{Type: frame.Double}
			switch {
			case names != nil:
				f.Name = names[k]
			case width == 1 && len(inputs) > 1:
				f.Name = in.Name
			case len(inputs) > 1:
				f.Name = fmt.Sprintf("%s.%d", in.Name, k)
			}
			switch in.Type {
			case onnx.String:
				f.Text, f.Type = true, frame.String
			case onnx.Int32:
				f.Type = frame.Int32
			case onnx.Int64:
				f.Type = frame.Int64
			case onnx.Bool:
				f.Type = frame.Boolean
			}
			l.m.Features = append(l.m.Features, f)
		}
	}
	return widths, nil
}

// fromSample takes the schema table's columns but the label for those of the
// one tensor, where their number fits.
func (l *onnxLoader) fromSample(width int) []string {
	if l.sample == nil || len(l.binding.Features) > 0 {
		return nil
	}
	var names []string
	for _, c := range l.sample.frame.Cols {
		if l.binding.Label == nil || c.Field.Name != l.binding.Label.Column {
			names = append(names, c.Field.Name)
		}
	}
	if len(names) == 0 || width != 0 && width != len(names) {
		return nil
	}
	l.warn("the columns of the schema table, %q to %q, are taken for the input's in their order; give inputs if the trainer's order was another", names[0], names[len(names)-1])
	return names
}

func (l *onnxLoader) warn(text string, args ...any) {
	l.m.Warnings = append(l.m.Warnings, fmt.Sprintf(text, args...))
}

// kind settles what the answer means.
func (l *onnxLoader) kind(o onnx.Output, g *onnx.Model) error {
	m, n := l.m, g.Outputs()
	classes := o.Classes
	if said := l.binding.Outputs; said != nil && said.Classes != nil {
		classes = said.Classes
	}
	labelled := classes != nil || slices.ContainsFunc(l.file.Outputs(), func(o onnx.Output) bool { return o.Type == onnx.String || o.Type == onnx.Int64 })
	probabilities := g.Probabilities()
	switch {
	case l.binding.Kind != "":
		m.Kind = l.binding.Kind
	case !labelled && !probabilities && n > 1:
		return fault.New(fault.BadUserArgument, "", "output %q has %d numbers in a row and the graph no label: a regression has one number; give kind if they are scores of classes", o.Name, n)
	case !labelled && n == 1:
		m.Kind = model.Regression
	case n <= 2:
		m.Kind = model.TwoClass
	default:
		m.Kind = model.Multiclass
	}
	if m.Kind == model.Regression && n != 1 || m.Kind == model.TwoClass && n > 2 || m.Kind == model.Multiclass && n < 2 {
		return fault.New(fault.BadUserArgument, "", "output %q has %d numbers in a row, which is no %s model", o.Name, n, m.Kind)
	}
	m.Transform.Name = model.Identity
	if m.Kind == model.Regression {
		return nil
	}
	m.NumClasses = max(2, n)
	if len(classes) == m.NumClasses {
		m.Classes = classes
	}
	if o.Coupled {
		l.warn("output %q has an SVM's probabilities: Scored Labels is the class of the highest, where predict answers the class with the most votes", o.Name)
	}
	switch {
	case o.Votes:
		return refuseONNX("output %q has scores of pairs of classes: train the SVM with probability=True", o.Name)
	case n > 1 && probabilities:
		m.Transform.Name = model.Probabilities
	case n == 1 && probabilities, m.Kind == model.Multiclass:
		if !probabilities {
			l.warn("output %q has scores, not probabilities; the highest is the answer", o.Name)
		}
	default:
		m.Transform.Name = model.Sigmoids
		if n == 1 {
			m.Transform.Name = model.Sigmoid
		}
		l.warn("output %q has scores, not probabilities: Scored Probabilities are their logistic", o.Name)
	}
	return nil
}

// agree compares the graph's own labels with what the model will answer.
func (l *onnxLoader) agree(o onnx.Output, widths []int) error {
	outputs := l.file.Outputs()
	at := slices.IndexFunc(outputs, func(label onnx.Output) bool {
		if said := l.binding.Outputs; said != nil && said.Label != "" {
			return label.Name == said.Label
		}
		return label.Type == onnx.String || label.Type == onnx.Int64
	})
	if at < 0 || l.m.Kind == model.Regression {
		return nil
	}
	border := 0.5
	if l.m.Transform.Name == model.Sigmoid || l.m.Transform.Name == model.Sigmoids {
		border = 0
	}
	agree, rows, err := l.file.Agreement(o, outputs[at], widths, func(p []float64) int {
		if l.m.Kind == model.Multiclass {
			best := 0
			for k, v := range p {
				if v > p[best] {
					best = k
				}
			}
			return best
		}
		if p[len(p)-1] >= border {
			return 1
		}
		return 0
	})
	switch {
	case err != nil:
		return refuseONNX("its labels %q: %v", outputs[at].Name, err)
	case agree < rows/2:
		return refuseONNX("its labels %q are not the classes of the highest score: of %d sample rows %d agree", outputs[at].Name, rows, agree)
	case agree < rows:
		l.warn("Scored Labels is the class of the highest score: of %d sample rows %d have the label that the graph answers itself", rows, agree)
	}
	return nil
}
