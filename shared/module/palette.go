package module

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
)

// Palette is a set of modules by name and code version.
type Palette struct {
	byName map[string][]*Module // versions, newest first
	names  []string             // in the order given
	alias  map[string]string    // lower-case alias or name -> name
}

// NewPalette makes a palette. Of two modules with one name, both code versions
// are kept; the higher is what new experiments get. It panics on a
// contradictory specification: that is a bug, found by the first test.
func NewPalette(modules ...*Module) *Palette {
	p := &Palette{byName: make(map[string][]*Module), alias: make(map[string]string)}
	for _, m := range modules {
		if err := m.check(); err != nil {
			panic("module: " + m.Name + ": " + err.Error())
		}
		if len(p.byName[m.Name]) == 0 {
			p.names = append(p.names, m.Name)
		}
		p.byName[m.Name] = append(p.byName[m.Name], m)
		for _, a := range append([]string{m.Name}, m.Aliases...) {
			if other, taken := p.alias[strings.ToLower(a)]; taken && other != m.Name {
				panic("module: " + a + " names both " + other + " and " + m.Name)
			}
			p.alias[strings.ToLower(a)] = m.Name
		}
	}
	for name, versions := range p.byName {
		slices.SortFunc(versions, func(a, b *Module) int { return b.CodeVersion - a.CodeVersion })
		for i := 1; i < len(versions); i++ {
			if versions[i].CodeVersion == versions[i-1].CodeVersion {
				panic("module: " + name + " has one code version twice")
			}
		}
	}
	return p
}

func (m *Module) check() error {
	shapes := 0
	for _, has := range []bool{m.Bind != nil, m.Fit != nil, m.Learner != nil, m.Run != nil} {
		if has {
			shapes++
		}
	}
	switch {
	case m.Name == "" || m.CodeVersion < 1 || m.Doc == "" || m.Group == "" || m.Nature == "":
		return fmt.Errorf("name, group, nature, code version and doc are required")
	case shapes > 1 || (m.Pin != nil || m.Make != nil) && m.Bind == nil || m.Pin != nil && m.Make != nil || (m.Fit == nil) != (m.Apply == nil):
		return fmt.Errorf("code must have exactly one shape")
	case (m.Learned != nil || m.ApplyNew != nil) && m.Fit == nil:
		return fmt.Errorf("what a module learned is told and applied by one that fits")
	case (m.Fit != nil) != (m.Nature == Fitted):
		return fmt.Errorf("a fitted module has Fit and Apply, and no other has")
	}
	for i := range m.Params {
		p := &m.Params[i]
		if p.Doc == "" {
			return fmt.Errorf("parameter %q has no doc", p.Name)
		}
		if p.Required && p.Default != "" || p.Secret() && p.Default != "" {
			return fmt.Errorf("parameter %q must not have a default", p.Name)
		}
		if p.Default != "" {
			if _, err := p.Parse(p.Default); err != nil {
				return fmt.Errorf("default of parameter %q: %w", p.Name, err)
			}
		}
		if p.When != nil && m.Param(p.When.Param) == nil {
			return fmt.Errorf("parameter %q depends on %q, which is not there", p.Name, p.When.Param)
		}
	}
	return nil
}

// Lookup returns the newest code of the module called name, by its name or one
// of its aliases, without regard to case; nil where there is none.
func (p *Palette) Lookup(name string) *Module {
	if v := p.byName[p.alias[strings.ToLower(name)]]; len(v) > 0 {
		return v[0]
	}
	return nil
}

// Version returns the code of exactly that version, or nil.
func (p *Palette) Version(name string, version int) *Module {
	for _, m := range p.byName[p.alias[strings.ToLower(name)]] {
		if m.CodeVersion == version {
			return m
		}
	}
	return nil
}

// All yields the newest code of every module, in palette order.
func (p *Palette) All() iter.Seq[*Module] {
	return func(yield func(*Module) bool) {
		for _, n := range p.names {
			if !yield(p.byName[n][0]) {
				return
			}
		}
	}
}

// Nearest returns the name or alias of a module closest to name in edits without
// regard to case, for "did you mean"; "" where none is near.
func (p *Palette) Nearest(name string) string {
	var names frame.Schema
	for m := range p.All() {
		for _, n := range append([]string{m.Name}, m.Aliases...) {
			names = append(names, frame.Field{Name: n})
		}
	}
	return names.Nearest(name)
}

// Refusal is a module of the Studio that is left out by design.
type Refusal struct{ Name, Instead string }

// Refused returns why a module of the Studio is left out by design and what to
// use instead; "" for a name that is not refused.
func Refused(name string) string {
	for _, r := range refusals {
		if strings.EqualFold(r.Name, name) {
			return r.Instead
		}
	}
	return ""
}

// AllRefused returns the modules that are left out, and nothing else is.
func AllRefused() []Refusal { return slices.Clone(refusals) }

const (
	noScripts   = "Portico runs no scripts: use Apply SQL Transformation or Apply Math Operation, or train outside and import the model as XGBoost, LightGBM or ONNX"
	noWabbit    = "Vowpal Wabbit is left out: use Feature Hashing with Two-Class Logistic Regression, or import a trained model as ONNX"
	noImages    = "images are left out: compute features outside and send them as columns, or import a trained model as ONNX"
	noMatchbox  = "the Matchbox recommender is left out: train outside and import the model as ONNX"
	noDeepLocal = "left out: use Two-Class Support Vector Machine or Two-Class Boosted Decision Tree"
)

var refusals = []Refusal{
	{"Execute R Script", noScripts},
	{"Create R Model", noScripts},
	{"Execute Python Script", noScripts},
	{"Train Vowpal Wabbit Version 7-4 Model", noWabbit},
	{"Score Vowpal Wabbit Version 7-4 Model", noWabbit},
	{"Train Vowpal Wabbit Version 7-10 Model", noWabbit},
	{"Score Vowpal Wabbit Version 7-10 Model", noWabbit},
	{"Train Vowpal Wabbit Version 8 Model", noWabbit},
	{"Score Vowpal Wabbit Version 8 Model", noWabbit},
	{"Import Images", noImages},
	{"Pretrained Cascade Image Classification", noImages},
	{"Train Matchbox Recommender", noMatchbox},
	{"Score Matchbox Recommender", noMatchbox},
	{"Evaluate Recommender", noMatchbox},
	{"Named Entity Recognition", "left out: recognise entities outside and send them as columns"},
	{"Detect Languages", "left out: detect the language outside and send it as a column"},
	{"Extract Key Phrases from Text", "left out: use Extract N-Gram Features from Text"},
	{"Two-Class Locally-Deep Support Vector Machine", noDeepLocal},
	{"Two-Class Locally-Deep SVM", noDeepLocal},
	{"Two-Class Locally Deep Support Vector Machine", noDeepLocal},
}
