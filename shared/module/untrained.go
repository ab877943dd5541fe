package module

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/service"
)

// untrained is the artifact of an untrained model: which module names the
// learner, and its parameters.
type untrained struct {
	Format      int    `json:"portico-untrained"` // 1
	Module      string `json:"module"`
	CodeVersion int    `json:"codeVersion"`
	// Revision is that of the module which made the artifact. It is here for
	// the artifact's digest alone: what is trained by it has another key.
	Revision   int               `json:"revision,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
	// Base is the untrained model inside, where the learner wraps one.
	Base json.RawMessage `json:"base,omitempty"`
}

// Untrained is an opened untrained model.
type Untrained struct {
	Module *Module
	Params Values
	Base   *Untrained // nil where the learner wraps none
}

// initialize is the execution of a module that names a learner.
func (m *Module) initialize(c *Call) ([]Value, error) {
	u := untrained{Format: 1, Module: m.Name, CodeVersion: m.CodeVersion, Revision: m.Revision, Parameters: c.Params.NotDefault()}
	if len(c.Inputs) > 0 {
		u.Base = c.Inputs[0].Artifact
	}
	artifact, err := json.Marshal(u)
	if err != nil {
		return nil, err
	}
	opened, err := c.Palette.OpenUntrained(artifact)
	if err != nil {
		return nil, err
	}
	if _, err := opened.Learners(); err != nil {
		return nil, err
	}
	return []Value{{Kind: service.UntrainedModel, Artifact: artifact}}, nil
}

// maxWrapped bounds how deep untrained models wrap one another.
const maxWrapped = 4

// OpenUntrained reads an untrained model.
func (p *Palette) OpenUntrained(artifact []byte) (*Untrained, error) {
	return p.openUntrained(artifact, 0)
}

func (p *Palette) openUntrained(artifact []byte, depth int) (*Untrained, error) {
	var u untrained
	dec := json.NewDecoder(bytes.NewReader(artifact))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&u); err != nil || u.Format != 1 {
		return nil, Errorf(82, "the artifact is not an untrained model of format 1").Because(err)
	}
	if depth >= maxWrapped {
		return nil, Errorf(13, "untrained models wrap one another more than %d deep", maxWrapped)
	}
	m := p.Version(u.Module, u.CodeVersion)
	if m == nil || m.Learner == nil {
		return nil, unknownVersion(u.Module, u.CodeVersion)
	}
	out := &Untrained{Module: m}
	var problems []Problem
	if out.Params, problems = m.Resolve(u.Parameters); len(problems) > 0 {
		return nil, Errorf(problems[0].Number, "%s", problems[0].Message)
	}
	if wraps := len(m.Inputs) > 0; wraps != (u.Base != nil) {
		return nil, Errorf(13, "%q wraps an untrained model, or takes none", m.Name)
	}
	if u.Base != nil {
		var err error
		if out.Base, err = p.openUntrained(u.Base, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Candidate is a learner with the parameters that were swept to make it.
type Candidate struct {
	Learner learn.Learner
	// Swept are the values of the parameters that have several, in the order
	// of the module's specification; those of a wrapped learner come first.
	Swept []Setting
}

// Setting is one parameter of a candidate.
type Setting struct{ Name, Value string }

// Learner returns the learner of an untrained model that is one learner. Where
// its trainer mode is Parameter Range it is error 0013: such a model is for
// Tune Model Hyperparameters.
func (u *Untrained) Learner() (learn.Learner, error) {
	all, err := u.Learners()
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, Errorf(13, "%q has a range of parameters, %d combinations: connect it to Tune Model Hyperparameters, or give single parameters", u.Module.Name, len(all))
	}
	return all[0].Learner, nil
}

// maxCandidates bounds a grid of parameters.
const maxCandidates = 100_000

// Learners returns all combinations of the swept parameters, the last
// parameter changing fastest.
func (u *Untrained) Learners() ([]Candidate, error) {
	bases := []Candidate{{}}
	if u.Base != nil {
		var err error
		if bases, err = u.Base.Learners(); err != nil {
			return nil, err
		}
	}
	combos, err := u.Params.combinations()
	if err != nil {
		return nil, err
	}
	if len(bases)*len(combos) > maxCandidates {
		return nil, Errorf(8, "the ranges of parameters make %d combinations, more than %d", len(bases)*len(combos), maxCandidates)
	}
	var out []Candidate
	for _, b := range bases {
		for _, v := range combos {
			l, err := u.Module.Learner(v, b.Learner)
			if err != nil {
				return nil, err
			}
			c := Candidate{Learner: l, Swept: slices.Clone(b.Swept)}
			for i := range u.Module.Params {
				if p := &u.Module.Params[i]; p.Sweep && strings.Contains(u.Params.get(p.Name), listSeparator) {
					c.Swept = append(c.Swept, Setting{p.Name, v.get(p.Name)})
				}
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// Misnamed tells why parameters that hold each by itself name no learner
// together; nothing of a module that names none, or one that wraps another.
func (m *Module) Misnamed(v Values) []Problem {
	if m.Learner == nil || len(m.Inputs) > 0 {
		return nil
	}
	combos, err := v.combinations()
	if err == nil {
		_, err = m.Learner(combos[0], nil)
	}
	if err == nil {
		return nil
	}
	return []Problem{checked(fault.Of(err).Target, err)}
}

// TrainerMode is the parameter of learners that have ranges, and its options.
const (
	TrainerMode     = "Create trainer mode"
	SingleParameter = "Single Parameter"
	ParameterRange  = "Parameter Range"
)

// TrainerModeParam is that parameter.
func TrainerModeParam() Param {
	return Param{
		Name: TrainerMode, Type: Enumerated, Default: SingleParameter, Options: []string{SingleParameter, ParameterRange},
		Doc: "One value for each parameter, or lists of values separated by semicolons for Tune Model Hyperparameters to choose from.",
	}
}

// listSeparator stands between the values of a swept parameter.
const listSeparator = ";"

// parseList checks the values of a swept parameter and returns them in their
// canonical spelling.
func (p *Param) parseList(text string) (string, error) {
	one := *p
	one.Sweep = false
	var values []string
	for part := range strings.SplitSeq(text, listSeparator) {
		v, err := one.Parse(part)
		if err != nil {
			return "", err
		}
		if slices.Contains(values, v) {
			return "", fmt.Errorf("%s is there twice", v)
		}
		values = append(values, v)
	}
	return strings.Join(values, listSeparator), nil
}

// combinations returns v with one value for each swept parameter, in every
// combination.
func (v Values) combinations() ([]Values, error) {
	out := []Values{v}
	for i := range v.spec.Params {
		p := &v.spec.Params[i]
		if !p.Sweep {
			continue
		}
		values := strings.Split(v.get(p.Name), listSeparator)
		if len(values) == 1 {
			continue
		}
		if v.spec.Param(TrainerMode) == nil || v.get(TrainerMode) != ParameterRange {
			return nil, Errorf(2, "parameter %q has %d values: give one, or set %q to %q", p.Name, len(values), TrainerMode, ParameterRange).At(p.Name)
		}
		if len(out)*len(values) > maxCandidates {
			return nil, Errorf(8, "the ranges of parameters make more than %d combinations", maxCandidates)
		}
		next := make([]Values, 0, len(out)*len(values))
		for _, o := range out {
			for _, text := range values {
				next = append(next, o.with(p.Name, text))
			}
		}
		out = next
	}
	return out, nil
}

// with is v with another value of one parameter.
func (v Values) with(name, text string) Values {
	w := Values{v.spec, make(map[string]string, len(v.text))}
	for k, t := range v.text {
		w.text[k] = t
	}
	w.text[name] = text
	return w
}

// Train trains l on a table, within a run: the session's log and checkpoints
// are the call's.
func (c *Call) Train(ctx context.Context, l learn.Learner, r learn.Request) (artifact []byte, b *learn.Binding, err error) {
	d, b, err := learn.Prepare(l, r)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range b.Ignored {
		c.Log("column %q is no feature: %s", i.Column, i.Reason)
	}
	if b.Kept != nil {
		c.Log("%d of %d rows are learned from; the others miss the label, the weight or a feature", d.Rows, r.Frame.Rows())
	}
	t, err := l.Train(ctx, d, c.Session())
	if err != nil {
		return nil, nil, err
	}
	if artifact, err = b.Encode(t); err != nil {
		return nil, nil, err
	}
	return artifact, b, nil
}

// Session is the training session of a call.
func (c *Call) Session() *learn.Session {
	s := learn.NewSession()
	s.Log, s.Saved = c.Log, c.Saved
	if c.Checkpoint != nil {
		s.Checkpoint = c.Checkpoint
	}
	return s
}
