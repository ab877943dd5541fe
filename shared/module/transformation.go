package module

import (
	"bytes"
	"encoding/json"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// transformation is the artifact of a fitted module: which code learned it,
// and what it learned. Its bytes are canonical: the same state gives the same
// digest.
type transformation struct {
	Format      int             `json:"portico-transformation"` // 1
	Module      string          `json:"module"`
	CodeVersion int             `json:"codeVersion"`
	State       json.RawMessage `json:"state"`
}

// EncodeTransformation returns the artifact of a state that spec's module has
// learned. A state is one JSON value.
func EncodeTransformation(spec *Spec, state []byte) ([]byte, error) {
	return json.Marshal(transformation{1, spec.Name, spec.CodeVersion, state})
}

// Transformation is an opened transformation artifact.
type Transformation struct {
	Module *Module
	State  []byte
}

// OpenTransformation reads a transformation artifact that a fitted module has
// learned. Code that this program no longer has is fault.Unavailable: publishing
// again helps.
func (p *Palette) OpenTransformation(artifact []byte) (*Transformation, error) {
	t, err := p.ReadTransformation(artifact)
	if err == nil && t.Module.Apply == nil {
		return nil, Errorf(82, "the transformation was made by %q: it takes a module of its own to be applied", t.Module.Name)
	}
	return t, err
}

// ReadTransformation reads the artifact of any module, also of one whose
// outcome another module of its group applies, such as a filter.
func (p *Palette) ReadTransformation(artifact []byte) (*Transformation, error) {
	var t transformation
	dec := json.NewDecoder(bytes.NewReader(artifact))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&t); err != nil || t.Format != 1 {
		return nil, Errorf(82, "the artifact is not a transformation of format 1").Because(err)
	}
	m := p.Version(t.Module, t.CodeVersion)
	if m == nil {
		return nil, unknownVersion(t.Module, t.CodeVersion)
	}
	return &Transformation{m, t.State}, nil
}

// Bind binds the transformation to the schema of new rows.
func (t *Transformation) Bind(in frame.Schema) (*Bound, error) {
	if t.Module.ApplyNew != nil {
		return t.Module.ApplyNew(t.State, in)
	}
	return t.Module.Apply(t.State, in)
}

// NeedVersion returns exactly that version of a module. A version this program
// does not have is fault.Unavailable, saying to publish again.
func (p *Palette) NeedVersion(name string, version int) (*Module, error) {
	if m := p.Version(name, version); m != nil {
		return m, nil
	}
	return nil, unknownVersion(name, version)
}

func unknownVersion(name string, version int) error {
	return fault.New(fault.Unavailable, "NoMoreResources",
		"the deployment needs code version %d of module %q, which this release does not have: publish again", version, name).At(name)
}
