// Package score holds the palette group Machine Learning / Score: modules that
// apply what was learned.
package score

import (
	"slices"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Machine Learning / Score"

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{ApplyTransformation(), AssignDataToClusters(), ScoreModel()}
}

// ScoreModel scores a table by a trained model.
func ScoreModel() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Score Model", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs: []module.Port{
				{ID: "Trained model", Kind: service.TrainedModel, Doc: "The model to score by."},
				{ID: "Dataset", Kind: service.Dataset, Doc: "The rows to score."},
			},
			Outputs: []module.Port{{ID: "Scored dataset", Kind: service.Dataset, Doc: "The rows with their scores."}},
			Params: []module.Param{{
				Name: "Append score columns to output", Type: module.Boolean, Default: "true", Schema: true,
				Doc: "Give the input's columns and the scores; or the scores only.",
			}, {
				Name: appendContributions, Type: module.Boolean, Default: "false", Schema: true,
				Doc: "Add what each of the model's features contributed to the raw score, where the kind of model can say: columns Contribution of {feature}, and Contribution base, which is the raw score expected of the training rows, or of a linear model its intercept. They add up to the raw score, before it becomes a probability; a model of several classes has columns for each. A model that cannot say is refused, with the reason.",
			}},
			Doc: "Scores each row by the trained model. A two-class model adds Scored Labels and Scored Probabilities, a multiclass model a probability per class and Scored Labels, a regression Scored Labels. The column that the model predicts is marked as the label, for Evaluate Model.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			m, err := open(b)
			if err != nil {
				return nil, err
			}
			return bind(b, m, b.Params.Bool("Append score columns to output"), b.Params.Bool(appendContributions))
		},
	}
}

// AssignDataToClusters scores a table by a clustering model.
func AssignDataToClusters() *module.Module {
	const whole = "Check for Append or Uncheck for Result Only"
	return &module.Module{
		Spec: module.Spec{
			Name: "Assign Data to Clusters", Aliases: []string{"Assign to Clusters"}, Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs: []module.Port{
				{ID: "Trained model", Kind: service.TrainedModel, Doc: "The clustering model to assign by."},
				{ID: "Dataset", Kind: service.Dataset, Doc: "The rows to assign."},
			},
			Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset, Doc: "The rows with their clusters."}},
			Params: []module.Param{{
				Name: whole, Type: module.Boolean, Default: "true", Schema: true,
				Doc: "Give the input's columns and the assignments; or the assignments only.",
			}, {
				Name: appendContributions, Type: module.Boolean, Default: "false", Schema: true,
				Doc: "Add what each feature contributed to the square of the distance to every center: columns Contribution of {feature} for Cluster 0 and so on. By the cosine it is the distance itself, of which Contribution base is 1.",
			}},
			Doc: "Assigns each row to the cluster whose center is nearest: column Assignments, counted from 0, and the distance to every center, DistancesToClusterCenter no.0 and so on.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			m, err := open(b)
			if err != nil {
				return nil, err
			}
			if m.Kind() != model.Clustering {
				return nil, module.Errorf(13, "the trained model is a %s model of %q, not a clustering: use Score Model", m.Kind(), m.Header().Learner)
			}
			return bind(b, m, b.Params.Bool(whole), b.Params.Bool(appendContributions))
		},
	}
}

const appendContributions = "Append contributions"

const (
	modelPort = iota
	dataPort
)

// open opens the trained model.
func open(b *module.Binding) (*model.Model, error) {
	m, err := model.Open(b.Inputs[modelPort].Artifact)
	if err != nil {
		return nil, module.Errorf(82, "the trained model cannot be read: %s", fault.Of(err).Msg)
	}
	return m, nil
}

// bind binds m to the table: whole gives its columns too, contributions those
// of the features.
func bind(b *module.Binding, m *model.Model, whole, contributions bool) (*module.Bound, error) {
	in := b.Inputs[dataPort].Schema
	scorer, err := m.Bind(in)
	if err != nil {
		return nil, unfit(err, in)
	}
	op := &scoreOp{scorer: scorer}
	var schema frame.Schema
	var from []module.Source
	taken := make(map[string]bool)
	if whole {
		op.pass = len(in)
		for i, f := range in {
			if role := roleAfter(m, &f); role != f.Role {
				f.Role = role
				op.marked = append(op.marked, i)
			}
			schema = append(schema, f)
			from = append(from, module.Source{Port: dataPort, Col: i})
			taken[f.Name] = true
		}
	}
	added := scorer.Fields()
	if contributions {
		if op.explainer, err = scorer.Explainer(b.Inputs[modelPort].Artifact); err != nil {
			return nil, module.Errorf(82, "%s", fault.Of(err).Msg)
		}
		added = slices.Concat(added, op.explainer.Fields())
	}
	for _, f := range added {
		if taken[f.Name] {
			return nil, module.Errorf(28, "the table has a column %q already, which the model adds: rename it or drop it", f.Name).At(f.Name)
		}
		taken[f.Name] = true
		schema = append(schema, f)
		from = append(from, module.Computed)
	}
	if op.out, err = frame.NewLayout(schema); err != nil {
		return nil, module.Errorf(28, "%v", err)
	}
	return &module.Bound{
		Op: op, Outputs: []frame.Schema{schema}, From: [][]module.Source{from}, Reads: [][]int{nil, scorer.Reads()},
	}, nil
}

// roleAfter is the role of an input column behind the model: the column that the
// model predicts is the label, and no other, so that an evaluation finds it.
func roleAfter(m *model.Model, f *frame.Field) frame.Role {
	label := m.Header().Label
	switch {
	case label == nil || label.Column == "":
	case f.Name == label.Column:
		return frame.Label
	case f.Role == frame.Label:
		return frame.Feature
	}
	return f.Role
}

// unfit makes a module error of a table that the model cannot score: 0001 for
// a column that is not there, 0017 for one of a type that does not serve.
func unfit(err error, in frame.Schema) error {
	e := fault.Of(err)
	number := 17
	if in.Index(e.Target) < 0 {
		number = 1
	}
	return module.Errorf(number, "%s", e.Msg).At(e.Target)
}

type scoreOp struct {
	scorer    *model.Scorer
	explainer *model.Explainer // nil without contributions
	pass      int              // input columns passed through, in front of the scores
	marked    []int            // those whose role changes
	out       *frame.Layout
}

// Size is the memory that the model holds.
func (op *scoreOp) Size() int64 {
	size := op.scorer.Model().Size()
	if op.explainer != nil {
		size += op.explainer.Size()
	}
	return size
}

func (op *scoreOp) NewState() module.State {
	st := &scoreState{op: op, state: op.scorer.NewState(), views: make([]frame.Column, len(op.marked))}
	for i := op.pass; i < len(op.out.Schema); i++ {
		st.scores = append(st.scores, op.out.Column(i, 0))
	}
	if op.explainer != nil {
		st.explain = op.explainer.NewState()
	}
	return st
}

type scoreState struct {
	op      *scoreOp
	state   *model.State
	explain *model.ExplainState
	scores  []*frame.Column // and contributions
	views   []frame.Column  // the columns whose role changes, under their new field
}

func (st *scoreState) Apply(in, out []*frame.Frame) error {
	src, dst := in[dataPort], out[0]
	for _, c := range st.scores {
		c.Reset()
	}
	scores := len(st.op.scorer.Fields())
	run := st.op.scorer.Score
	if src.Rows() >= model.ManyRows {
		run = st.op.scorer.ScoreMany
	}
	if err := run(st.state, src, st.scores[:scores]); err != nil {
		return err
	}
	if st.explain != nil {
		if err := st.op.explainer.Explain(st.explain, src, st.scores[scores:]); err != nil {
			return err
		}
	}
	copy(dst.Cols, src.Cols[:st.op.pass])
	for k, i := range st.op.marked {
		st.views[k] = *src.Cols[i] // shares the cells, which nobody changes
		st.views[k].Field = &st.op.out.Schema[i]
		dst.Cols[i] = &st.views[k]
	}
	copy(dst.Cols[st.op.pass:], st.scores)
	return nil
}

// Counts and ResetCounts make scoreState a module.Counter.
func (st *scoreState) Counts() (missing, unknownLevels int) {
	return st.state.Missing, st.state.UnknownLevels
}

func (st *scoreState) ResetCounts() { st.state.Counts = model.Counts{} }

// ApplyTransformation applies what a fitted module has learned.
func ApplyTransformation() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Apply Transformation", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs: []module.Port{
				{ID: "Transformation", Kind: service.Transformation, Doc: "What was learned."},
				{ID: "Dataset", Kind: service.Dataset, Doc: "The rows to transform."},
			},
			Outputs: []module.Port{{ID: "Transformed dataset", Kind: service.Dataset, Doc: "The rows, transformed."}},
			Doc:     "Applies a transformation to new rows exactly as it was learned; nothing is learned from them.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			t, err := b.Palette.OpenTransformation(b.Inputs[0].Artifact)
			if err != nil {
				return nil, err
			}
			bound, err := t.Bind(b.Inputs[1].Schema)
			if err != nil {
				return nil, err
			}
			return onPort1(bound), nil
		},
	}
}

// onPort1 moves an op of one input port behind a port in front of it.
func onPort1(b *module.Bound) *module.Bound {
	moved := &module.Bound{Op: shifted{b.Op}, Outputs: b.Outputs, Reads: append([][]int{nil}, b.Reads...), Needs: b.Needs, Rows: b.Rows}
	for _, from := range b.From {
		row := make([]module.Source, len(from))
		for i, s := range from {
			if row[i] = s; s != module.Computed {
				row[i].Port++
			}
		}
		moved.From = append(moved.From, row)
	}
	return moved
}

type shifted struct{ module.Op }

func (s shifted) NewState() module.State { return shiftedState{s.Op.NewState()} }

type shiftedState struct{ module.State }

func (s shiftedState) Apply(in, out []*frame.Frame) error { return s.State.Apply(in[1:], out) }
