package model

import (
	"fmt"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
)

// Signature is what a model promises its callers, for comparing two.
type Signature struct {
	Kind     Kind          `json:"kind"`
	Classes  []string      `json:"classes,omitempty"`
	Positive string        `json:"positive,omitempty"`
	Columns  []frame.Field `json:"columns"` // that it reads
	Scores   []frame.Field `json:"scores"`  // that it answers
}

// Signature returns m's.
func (m *Model) Signature() Signature {
	s := Signature{Kind: m.header.Kind, Columns: m.Requires(), Scores: m.fields}
	if l := m.header.Label; l != nil && s.Kind != Regression {
		s.Classes = l.Classes
		if s.Kind == TwoClass {
			s.Positive = l.Positive
		}
	}
	return s
}

// Relation is how a new signature stands to an old one.
type Relation string

const (
	Same       Relation = "same"
	Compatible Relation = "compatible" // only levels of columns differ
	Breaking   Relation = "breaking"
)

// Compare says whether a model of signature s may take the place of one of
// signature old, and every difference. New levels are compatible; a change of
// kind, classes, columns or score columns is not.
func (s Signature) Compare(old Signature) (Relation, []string) {
	var diffs []string
	breaking := func(text string, args ...any) { diffs = append(diffs, fmt.Sprintf(text, args...)) }
	if s.Kind != old.Kind {
		breaking("kind: %s, was %s", s.Kind, old.Kind)
	}
	if !slices.Equal(s.Classes, old.Classes) {
		breaking("classes: %q, were %q", s.Classes, old.Classes)
	}
	if s.Positive != old.Positive {
		breaking("positive class: %q, was %q", s.Positive, old.Positive)
	}
	before := frame.Schema(old.Columns)
	var levels []string
	for _, f := range s.Columns {
		i := before.Index(f.Name)
		switch {
		case i < 0:
			breaking("column %q: read now, was not", f.Name)
		case before[i].Type != f.Type:
			breaking("column %q: %s, was %s", f.Name, f.Type, before[i].Type)
		case !slices.Equal(before[i].Levels, f.Levels):
			levels = append(levels, fmt.Sprintf("column %q: %d levels, were %d", f.Name, len(f.Levels), len(before[i].Levels)))
		}
	}
	now := frame.Schema(s.Columns)
	for _, f := range old.Columns {
		if now.Index(f.Name) < 0 {
			breaking("column %q: was read, is not now", f.Name)
		}
	}
	if !slices.EqualFunc(s.Scores, old.Scores, func(a, b frame.Field) bool { return a.Name == b.Name && a.Type == b.Type }) {
		breaking("score columns: %q, were %q", frame.Schema(s.Scores).Names(), frame.Schema(old.Scores).Names())
	}
	switch {
	case len(diffs) > 0:
		return Breaking, append(diffs, levels...)
	case len(levels) > 0:
		return Compatible, levels
	}
	return Same, nil
}
