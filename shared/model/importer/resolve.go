package importer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// resolver joins what a file, a binding and a sample say.
type resolver struct {
	foreign  *model.Foreign
	binding  *Binding
	sample   *sample
	open     []fault.Detail // what nobody said, the first maxOpen of it
	more     int            // how much more is open
	warnings []string
}

// maxOpen is how much of what is open a refusal lists.
const maxOpen = 1000

func (r *resolver) warn(text string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(text, args...))
}

func (r *Result) warn(text string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(text, args...))
}

func (r *resolver) leave(target, text string, args ...any) {
	if len(r.open) == maxOpen {
		r.more++
		return
	}
	r.open = append(r.open, fault.Detail{Code: "BindingIncomplete", Target: target, Message: fmt.Sprintf(text, args...)})
}

// resolve makes the header of a model of the file. Where something is open the
// error lists all of it.
func resolve(foreign *model.Foreign, b *Binding, s *sample) (*model.Header, []string, error) {
	r := &resolver{foreign: foreign, binding: b, sample: s}
	h := &model.Header{
		Engine: foreign.Engine, Learner: foreign.Learner, Kind: foreign.Kind, Transform: foreign.Transform,
		UnknownLevel: b.UnknownLevel, CompleteRows: foreign.CompleteRows,
	}
	if h.UnknownLevel == model.UnknownMissing {
		h.UnknownLevel = ""
	}
	if err := r.kind(h); err != nil {
		return nil, nil, err
	}
	said, err := r.match()
	if err != nil {
		return nil, nil, err
	}
	for i := range foreign.Features {
		h.Features = append(h.Features, r.feature(i, said[i]))
	}
	shareLevels(h.Features)
	r.label(h)
	if len(r.open) > 0 {
		return nil, nil, r.refusal()
	}
	return h, r.warnings, nil
}

// shareLevels keeps the levels of a column with the first of its indicators
// alone, which is enough for all.
func shareLevels(features []model.Feature) {
	listed := map[string]bool{}
	for i := range features {
		f := &features[i]
		if f.Encoding == model.Indicator && listed[f.Column] {
			f.Levels = nil
		}
		listed[f.Column] = listed[f.Column] || f.Levels != nil
	}
}

// refusal names what is open.
func (r *resolver) refusal() error {
	var names []string
	for _, d := range r.open[:min(len(r.open), 5)] {
		names = append(names, d.Target+": "+d.Message)
	}
	more := ""
	if n := len(r.open) - len(names) + r.more; n > 0 {
		more = fmt.Sprintf("; and %d more", n)
	}
	e := fault.New(fault.BadUserArgument, "BindingIncomplete", "the binding leaves %d open: %s%s", len(r.open)+r.more, strings.Join(names, "; "), more)
	e.More = r.open
	return e
}

// kind lets a binding read a probability as a regression and the other way
// round; anything else must be what the file says.
func (r *resolver) kind(h *model.Header) error {
	want := r.binding.Kind
	if want == "" || want == h.Kind {
		return nil
	}
	probability := h.Transform.Name == model.Sigmoid
	if probability && (want == model.TwoClass || want == model.Regression) {
		h.Kind = want
		return nil
	}
	return fault.New(fault.BadUserArgument, "", "the binding says %s, the file is a %s model (%s)", want, h.Kind, r.foreign.Learner)
}

// match pairs the binding's features with the file's.
func (r *resolver) match() ([]*FeatureBinding, error) {
	features := r.foreign.Features
	said := make([]*FeatureBinding, len(features))
	named := slices.ContainsFunc(features, func(f model.ForeignFeature) bool { return f.Name != "" })
	if len(r.binding.Features) == 0 && (named || len(features) <= maxOpen) {
		return said, nil
	}
	if !named {
		if n := len(r.binding.Features); n != len(features) {
			return nil, fault.New(fault.BadUserArgument, "", "the file names no features: the binding must list all %d in the model's order, it has %d", len(features), n)
		}
		for i := range said {
			said[i] = &r.binding.Features[i]
		}
		return said, nil
	}
	index := make(map[string]int, len(features))
	for i, f := range features {
		index[f.Name] = i
	}
	for k := range r.binding.Features {
		f := &r.binding.Features[k]
		i, ok := index[f.Feature]
		if !ok {
			return nil, fault.New(fault.BadUserArgument, "", "the binding has feature %q, which the model does not%s", f.Feature, r.near(f.Feature))
		}
		if said[i] != nil {
			return nil, fault.New(fault.BadUserArgument, "", "the binding has feature %q twice", f.Feature)
		}
		said[i] = f
	}
	return said, nil
}

func (r *resolver) near(name string) string {
	var s frame.Schema
	for _, f := range r.foreign.Features {
		s = append(s, frame.Field{Name: f.Name})
	}
	if n := s.Nearest(name); n != "" {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	return ""
}

// feature settles feature i of the model.
func (r *resolver) feature(i int, said *FeatureBinding) model.Feature {
	file := &r.foreign.Features[i]
	if said == nil {
		if len(r.binding.Features) > 0 && r.sample == nil && file.Name != "" && !file.Categorical {
			// A forgotten indicator would else become a number that every
			// caller has to send.
			r.leave(file.Name, "the binding lists features, but not this one: add it")
			return model.Feature{Name: file.Name}
		}
		said = new(FeatureBinding)
	}
	f := model.Feature{
		Name: file.Name, Column: said.Column, Type: file.Type, Encoding: said.Encoding,
		Levels: said.Levels, Level: string(said.Level), Values: said.Values,
		Missing: said.Missing, Unknown: said.Unknown,
	}
	if f.Name == "" {
		f.Name = said.Feature
	}
	if f.Name == "" {
		f.Name = fmt.Sprintf("f%d", i)
	}
	if f.Column == "" {
		r.findColumn(&f, file)
	}
	if f.Column == "" {
		if file.Name == "" {
			r.leave(f.Name, "the file has no name for it: give its column")
		} else {
			r.leave(f.Name, "the schema table has no column of that name: give its column")
		}
		return f
	}
	column := r.sample.column(f.Column)
	if r.sample != nil && column == nil {
		r.leave(f.Name, "the schema table has no column %q", f.Column)
		return f
	}
	if file.Text && (f.Encoding == "" || f.Encoding == model.Text) {
		f.Encoding = model.Text
		if f.Levels == nil && column != nil && column.Field.Type == frame.String {
			f.Levels = r.sample.levels(column)
		}
		return f
	}
	switch {
	case said.Type != nil:
		f.Type = *said.Type
	case column != nil:
		f.Type = column.Field.Type
	case f.Encoding == model.Number && file.Categorical: // its codes
		f.Type = frame.Double
	case file.Categorical && file.Type.Integer(): // whole numbers as levels
	case f.Encoding != "" && f.Encoding != model.Number || file.Categorical:
		f.Type = frame.String
	}
	r.encode(&f, file, column)
	return f
}

// findColumn takes the column of the feature's own name, or, in a sample, a
// column and level of which the feature is the indicator.
func (r *resolver) findColumn(f *model.Feature, file *model.ForeignFeature) {
	if file.Name == "" {
		return
	}
	if r.sample == nil || r.sample.column(file.Name) != nil {
		f.Column = file.Name
		return
	}
	if f.Encoding != "" && f.Encoding != model.Indicator {
		return
	}
	for _, c := range r.sample.frame.Cols {
		rest, ok := strings.CutPrefix(file.Name, c.Field.Name)
		if !ok || rest == "" || !strings.ContainsRune("_=", rune(rest[0])) {
			continue
		}
		if level := rest[1:]; slices.Contains(r.sample.levels(c), level) {
			if f.Column != "" {
				r.leave(f.Name, "may be level %q of column %q or of another: give column and level", level, c.Field.Name)
				return
			}
			f.Column, f.Level, f.Encoding = c.Field.Name, level, model.Indicator
		}
	}
}

// encode settles how the column's cells become numbers.
func (r *resolver) encode(f *model.Feature, file *model.ForeignFeature, column *frame.Column) {
	if f.Encoding == "" {
		switch {
		case file.Categorical:
			f.Encoding = model.Codes
		case f.Level != "":
			f.Encoding = model.Indicator
		case len(f.Values) > 0:
			f.Encoding = model.Map
		case f.Type == frame.String:
			r.leave(f.Name, "column %q is String: say how it becomes a number, by encoding codes, indicator or map", f.Column)
			return
		default:
			f.Encoding = model.Number
		}
	}
	switch f.Encoding {
	case model.Codes:
		if f.Levels == nil {
			f.Levels = file.Levels
		}
		if f.Levels == nil && column != nil {
			if f.Levels = r.sample.levels(column); len(f.Levels) > 0 {
				r.warn("feature %q: levels taken from the schema table in sorted order, %q to %q; give levels if the trainer numbered them otherwise", f.Name, f.Levels[0], f.Levels[len(f.Levels)-1])
			}
		}
		if len(f.Levels) == 0 {
			r.leave(f.Name, "give levels, in the order of the trainer's codes")
		}
	case model.Indicator:
		if f.Level == "" {
			r.leave(f.Name, "give the level that it indicates")
		} else if f.Levels == nil && column != nil && len(r.sample.levels(column)) > 0 {
			f.Levels = r.sample.levels(column)
			if !slices.Contains(f.Levels, f.Level) {
				r.leave(f.Name, "column %q of the schema table has no %q", f.Column, f.Level)
			}
		}
	case model.Map:
		if len(f.Levels) == 0 || len(f.Values) != len(f.Levels) {
			r.leave(f.Name, "give levels, and a value for each")
		}
	}
}

// label settles what the model predicts.
func (r *resolver) label(h *model.Header) {
	said := r.binding.Label
	if said == nil {
		said = new(LabelBinding)
	}
	l := &model.Label{Column: said.Column, Classes: said.Classes, Positive: string(said.Positive)}
	column := r.sample.column(said.Column)
	if said.Column != "" && r.sample != nil && column == nil {
		r.warn("the schema table has no label column %q", said.Column)
	}
	if h.Kind == model.Regression {
		if l.Column != "" {
			l.Type = frame.Double
			h.Label = l
		}
		return
	}
	h.Label = l
	n := max(r.foreign.NumClasses, 2)
	if l.Classes == nil {
		l.Classes = r.foreign.Classes
	}
	if l.Classes == nil && column != nil {
		if found := r.sample.levels(column); len(found) == n {
			l.Classes = found
			r.warn("classes taken from column %q in sorted order: %q; give classes if the trainer numbered them otherwise", said.Column, found)
		}
	}
	switch {
	case l.Classes == nil:
		r.leave("label", "give its %d classes in the order of the trainer's class numbers, or a schema table that has the label column", n)
		return
	case len(l.Classes) != n:
		r.leave("label", "%d classes given, the model has %d", len(l.Classes), n)
		return
	}
	switch {
	case said.Type != nil:
		l.Type = *said.Type
	case column != nil:
		l.Type = column.Field.Type
	default:
		l.Type = typeOfClasses(l.Classes)
	}
	if h.Kind != model.TwoClass {
		return
	}
	if l.Positive == "" {
		l.Positive = r.foreign.Positive
	}
	if l.Positive == "" {
		l.Positive = model.PositiveByRule(l.Classes)
		r.warn("positive class by rule: %q; Scored Probabilities are of it", l.Positive)
	} else if !slices.Contains(l.Classes, l.Positive) {
		r.leave("label", "the positive class %q is none of the classes %q", l.Positive, l.Classes)
	}
}
