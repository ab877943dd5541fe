package module

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

// Nature is what a module needs to work on a row.
type Nature string

const (
	// RowWise needs its row and the pinned schema only.
	RowWise Nature = "row-wise"
	// Fitted learns from its input; publishing freezes what was learned.
	Fitted Nature = "fitted"
	// WholeTable needs all rows together.
	WholeTable Nature = "whole-table"
)

// Spec is everything about a module but its code.
type Spec struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"` // names of 2014
	Group   string   `json:"group"`             // palette path, "Data Transformation / Manipulation"
	// CodeVersion changes with the module's behaviour; the code of an old
	// version stays in the binary as long as deployments may name it.
	CodeVersion int `json:"codeVersion"`
	// Revision changes where the module comes to other results by the same
	// code version: a learner that trains in a better way. What an earlier
	// revision computed is not taken from the cache of results; deployments
	// and untrained models name no revision, and go on with the newest.
	Revision int    `json:"-"`
	Nature   Nature `json:"nature"`
	// Outside says that the module reads from or writes to somewhere outside
	// the experiment: Import Data, Export Data.
	Outside bool `json:"outside,omitempty"`
	// BatchUnless names a Boolean parameter without which a published service
	// with this module works in batch jobs only.
	BatchUnless string `json:"batchUnless,omitempty"`
	// PicksRows says that the module picks rows of its table, or adds some, for
	// training and testing: a predictive experiment does without it.
	PicksRows bool    `json:"picksRows,omitempty"`
	Inputs    []Port  `json:"inputs,omitempty"`
	Outputs   []Port  `json:"outputs,omitempty"`
	Params    []Param `json:"parameters,omitempty"`
	Doc       string  `json:"doc"`
}

// Sink reports whether the module's only effect is outside: Export Data.
func (s *Spec) Sink() bool { return s.Outside && len(s.Outputs) == 0 }

// Port is a typed input or output. Its id is its name in the Studio.
type Port struct {
	ID       string           `json:"id"`
	Kind     service.PortKind `json:"kind"`
	Optional bool             `json:"optional,omitempty"`
	// Format is the file format that a download of the port's table has where
	// nothing else is asked for; empty is CSV.
	Format string `json:"format,omitempty"`
	Doc    string `json:"doc,omitempty"`
}

// Input and Output return the index of the port called id, or -1. An empty id
// means the only port.
func (s *Spec) Input(id string) int { return find(s.Inputs, id) }

// Output returns the index of the output port called id, or -1.
func (s *Spec) Output(id string) int { return find(s.Outputs, id) }

func find(ports []Port, id string) int {
	if id == "" && len(ports) == 1 {
		return 0
	}
	return slices.IndexFunc(ports, func(p Port) bool { return p.ID == id })
}

// Type is the type of a parameter, in the words of the classic graph
// parameters.
type Type string

const (
	String       Type = "String"
	Int          Type = "Int"
	Float        Type = "Float"
	Boolean      Type = "Boolean"
	Enumerated   Type = "Enumerated"
	Script       Type = "Script"       // text of several lines
	Credential   Type = "Credential"   // never shown, stored or hashed
	ColumnPicker Type = "ColumnPicker" // a Selection
)

// Param is one parameter of a module. Names are the Studio's.
type Param struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
	// Default is the text that an absent parameter has. A required parameter
	// has none, and is required only where it counts: see When.
	Default  string   `json:"default,omitempty"`
	Required bool     `json:"required,omitempty"`
	Options  []string `json:"options,omitempty"` // Enumerated
	Range    *Range   `json:"range,omitempty"`   // Int and Float
	// Single says that a ColumnPicker picks exactly one column.
	Single bool `json:"single,omitempty"`
	// Sweep says that the parameter of a learner may have several values,
	// separated by semicolons, for Tune Model Hyperparameters.
	Sweep bool `json:"sweep,omitempty"`
	// Schema says that the value can change the output's schema; with
	// SchemaWhen, only while another parameter has one of some values.
	Schema     bool  `json:"schema,omitempty"`
	SchemaWhen *When `json:"schemaWhen,omitempty"`
	// Check judges a text for which its type is not enough and no table is
	// needed, such as a list of numbers or a pattern: nil, or a module error. It
	// is not asked of an empty text, nor while the parameter does not count.
	Check func(text string) error `json:"-"`
	// When says that the parameter counts only while another has one of some
	// values; forms hide it otherwise.
	When *When  `json:"when,omitempty"`
	Doc  string `json:"doc,omitempty"`
}

// ChangesSchema reports whether another value could change the output's schema,
// given the other parameters.
func (p *Param) ChangesSchema(v Values) bool {
	return p.Schema && (p.SchemaWhen == nil || slices.Contains(p.SchemaWhen.Is, v.get(p.SchemaWhen.Param)))
}

// Secret reports whether the value must never be shown, stored or hashed.
func (p *Param) Secret() bool { return p.Type == Credential }

// Range bounds a number, both ends included.
type Range struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// When is a condition on another parameter.
type When struct {
	Param string   `json:"param"`
	Is    []string `json:"is"`
}

// Param returns the parameter called name, or nil.
func (s *Spec) Param(name string) *Param {
	i := slices.IndexFunc(s.Params, func(p Param) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Params[i]
}

// Parse checks a text as a value of the parameter and returns it in its one
// canonical spelling.
func (p *Param) Parse(text string) (string, error) {
	if p.Sweep && strings.Contains(text, listSeparator) {
		return p.parseList(text)
	}
	t := strings.TrimSpace(text)
	switch p.Type {
	case Int:
		n, err := strconv.ParseInt(t, 10, 64)
		if err != nil {
			return "", fmt.Errorf("%q is not an integer", clip(text))
		}
		if err := p.inRange(float64(n)); err != nil {
			return "", err
		}
		return strconv.FormatInt(n, 10), nil
	case Float:
		x, err := strconv.ParseFloat(t, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return "", fmt.Errorf("%q is not a finite number", clip(text))
		}
		if err := p.inRange(x); err != nil {
			return "", err
		}
		return strconv.FormatFloat(x, 'g', -1, 64), nil
	case Boolean:
		switch strings.ToLower(t) {
		case "true", "1":
			return "true", nil
		case "false", "0":
			return "false", nil
		}
		return "", fmt.Errorf("%q is neither true nor false", clip(text))
	case Enumerated:
		for _, o := range p.Options {
			if strings.EqualFold(o, t) {
				return o, nil
			}
		}
		return "", fmt.Errorf("%q is not one of %s", clip(text), strings.Join(p.Options, ", "))
	case ColumnPicker:
		s, err := ParseSelection(text)
		if err != nil {
			return "", err
		}
		return s.String(), nil
	}
	return text, nil
}

// clip is a text as a message repeats it: it may be as long as a request.
func clip(text string) string { return frame.Clip([]byte(text)) }

func (p *Param) inRange(x float64) error {
	if p.Range != nil && (x < p.Range.Min || x > p.Range.Max) {
		return fmt.Errorf("%s is not %s", number(x), p.Range)
	}
	return nil
}

// Problem is one parameter that does not hold.
type Problem struct {
	Param   string
	Rule    string // unknown-parameter, missing-parameter, bad-parameter
	Number  int    // classic module error
	Message string
}

// Values are a module's parameters, complete and in canonical spelling.
type Values struct {
	spec *Spec
	text map[string]string
}

// Resolve completes given with the defaults and checks all of it. With open,
// parameters it names may be absent although required: they come with the call.
func (s *Spec) Resolve(given map[string]string, open ...string) (Values, []Problem) {
	v := Values{s, make(map[string]string, len(s.Params))}
	var problems []Problem
	for i := range s.Params {
		p := &s.Params[i]
		text, ok := given[p.Name]
		if text == "" && p.Type != String && p.Type != Script {
			ok = false // an empty form field is an absent parameter
		}
		if !ok {
			if text = p.Default; text == "" {
				v.text[p.Name] = ""
				continue
			}
		}
		v.text[p.Name] = "" // where it does not parse
		canon, err := p.Parse(text)
		if err != nil {
			number := 2
			if p.Range != nil {
				number = 8
			}
			msg := err.Error()
			if p.Secret() {
				msg = "the value does not parse"
			}
			problems = append(problems, Problem{p.Name, "bad-parameter", number, fmt.Sprintf("parameter %q: %s", p.Name, msg)})
			continue
		}
		v.text[p.Name] = canon
	}
	for i := range s.Params {
		p := &s.Params[i]
		text := v.text[p.Name]
		switch {
		case !v.counts(p):
		case text != "" && p.Check != nil:
			if err := p.Check(text); err != nil {
				problems = append(problems, checked(p.Name, err))
			}
		case given[p.Name] == "" && p.Required && !slices.Contains(open, p.Name):
			msg := fmt.Sprintf("parameter %q is required", p.Name)
			if p.When != nil {
				msg += fmt.Sprintf(" where %q is %s", p.When.Param, v.text[p.When.Param])
			}
			problems = append(problems, Problem{p.Name, "missing-parameter", 3, msg})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if s.Param(name) == nil {
			msg := fmt.Sprintf("module %q has no parameter %q", s.Name, name)
			if n := nearest(s.Params, name); n != "" {
				msg += fmt.Sprintf("; did you mean %q?", n)
			}
			problems = append(problems, Problem{name, "unknown-parameter", 2, msg})
		}
	}
	return v, problems
}

// String says the range in words: "from 1 to 10", "above 0".
func (r *Range) String() string {
	low := "from " + number(r.Min)
	if r.Min == math.SmallestNonzeroFloat64 {
		low = "above 0"
	}
	switch {
	case r.Max == math.MaxFloat64 && r.Min == 0:
		return "0 or more"
	case r.Max == math.MaxFloat64:
		return low
	case low == "above 0":
		return "above 0 and at most " + number(r.Max)
	}
	return low + " to " + number(r.Max)
}

// number writes a bound; whole ones without an exponent.
func number(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
		return strconv.FormatInt(int64(x), 10)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// checked is the problem that a parameter's Check told of.
func checked(param string, err error) Problem {
	e, number := fault.Of(err), 2
	if n, err := strconv.Atoi(strings.TrimPrefix(e.Code, "Error")); err == nil {
		number = n
	}
	return Problem{param, "bad-parameter", number, strings.TrimPrefix(e.Msg, fmt.Sprintf("Error %04d: ", number))}
}

// counts reports whether what p depends on has one of the values with which p
// counts, and counts itself.
func (v Values) counts(p *Param) bool {
	for w := p.When; w != nil; w = p.When {
		if p = v.spec.Param(w.Param); !slices.Contains(w.Is, v.text[p.Name]) {
			return false
		}
	}
	return true
}

func nearest(params []Param, name string) string {
	names := make(frame.Schema, len(params))
	for i := range params {
		names[i].Name = params[i].Name
	}
	return names.Nearest(name)
}

// of makes v usable for spec where it is the zero Values.
func (v Values) of(spec *Spec) Values {
	if v.spec == nil {
		v, _ = spec.Resolve(nil)
	}
	return v
}

func (v Values) get(name string) string {
	t, ok := v.text[name]
	if !ok {
		panic("module: " + v.spec.Name + " reads undeclared parameter " + name)
	}
	return t
}

// Text returns a parameter's text.
func (v Values) Text(name string) string { return v.get(name) }

// Int returns an Int parameter, 0 where it is empty.
func (v Values) Int(name string) int64 {
	n, _ := strconv.ParseInt(v.get(name), 10, 64) // Resolve has checked it
	return n
}

// Float returns a Float parameter, 0 where it is empty.
func (v Values) Float(name string) float64 {
	x, _ := strconv.ParseFloat(v.get(name), 64) // Resolve has checked it
	return x
}

// Bool returns a Boolean parameter.
func (v Values) Bool(name string) bool { return v.get(name) == "true" }

// Columns returns a ColumnPicker parameter.
func (v Values) Columns(name string) Selection {
	s, _ := ParseSelection(v.get(name)) // Resolve has checked it
	return s
}

// NotDefault returns the parameters that differ from their defaults, without
// the secret ones: what decides a result, for canonical forms and cache keys.
func (v Values) NotDefault() map[string]string {
	out := make(map[string]string)
	for i := range v.spec.Params {
		p := &v.spec.Params[i]
		def := p.Default
		if def != "" {
			def, _ = p.Parse(def)
		}
		if t := v.text[p.Name]; t != def && !p.Secret() {
			out[p.Name] = t
		}
	}
	return out
}
