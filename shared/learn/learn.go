// Package learn trains models.
//
// A Learner is an algorithm with its options, an untrained model. Prepare
// turns a frame into the numbers a learner reads, and remembers how: its
// Binding, with what the learner made of the numbers, is a trained model. A
// model trained here is an artifact like any imported one, and is scored by
// the same code.
//
// Training is deterministic: the same data, options and seed give the same
// bytes, whatever the number of workers. Sums over rows are formed in an order
// that depends on the data's size alone.
package learn

import (
	"context"

	"github.com/portico-ml/portico/shared/model"
)

// Learner trains one kind of model.
type Learner interface {
	// Name is what the trained model's header calls its learner.
	Name() string
	// Kind is what the model will answer.
	Kind() model.Kind
	// Form is how the learner wants columns as numbers.
	Form() Form
	// Train makes a model of the data. It allocates what it needs, and returns
	// soon after ctx ends. An error of kind fault.LibraryExecution carries the
	// classic module error number.
	Train(ctx context.Context, d *Data, s *Session) (*Trained, error)
}

// Form is how columns become features.
type Form struct {
	// Codes makes one feature of a categorical column, the position of the
	// cell's level, for learners that split sets of levels. Otherwise each
	// level is a feature of its own that is 0 or 1.
	Codes bool
	// Complete says that the learner needs every feature of a row: training
	// drops the others, scoring gives them no score. Otherwise a missing cell
	// is NaN.
	Complete bool
	// UnknownLevels scores values that training did not see ("Allow unknown
	// categorical levels"): as codes by the code after the last level, as
	// indicators by a 0 in all of them. Without it such a value is missing.
	UnknownLevels bool
	// Guide asks for the column whose role is to be the label, where there is
	// one, though the learner predicts none: Data.Guide.
	Guide bool
}

// Data is what a learner learns from.
type Data struct {
	Rows int
	// X holds the features: feature f of row r is X[f][r], NaN where missing.
	X [][]float64
	// Levels is the number of codes of each feature, 0 where it is a number.
	Levels []int
	// Label is the value to predict, or the index of the class, in the order
	// of the label column's levels, else as their values sort. Nil for learners
	// without a label. For two-class models 1 is the positive class.
	Label []float64
	// Classes is the number of classes, 0 for regression.
	Classes int
	// Guide is the index of each row's label, -1 where it is missing, for
	// learners whose Form asks for it: nil without a label column. Guides is
	// the number of labels.
	Guide  []int32
	Guides int
	// Weight of each row; nil where all are 1.
	Weight []float64
}

// Session is what training has besides data and options.
type Session struct {
	// Workers bounds the goroutines that compute; 0 means GOMAXPROCS. It never
	// changes the result.
	Workers int
	// Log adds a line to the node's log; never nil.
	Log func(format string, args ...any)
	// Saved is the state that an earlier execution saved by Checkpoint; nil at
	// the first.
	Saved []byte
	// Checkpoint is called by iterative learners between iterations. It may
	// save what state returns, and its error ends training: the state will
	// come back as Saved. A training that goes on gives the same model as one
	// that was never stopped. Never nil.
	Checkpoint func(state func() ([]byte, error)) error
}

// NewSession returns a session that logs nothing and saves nothing.
func NewSession() *Session {
	return &Session{
		Log:        func(string, ...any) {},
		Checkpoint: func(func() ([]byte, error)) error { return nil },
	}
}

// Progress logs how far an iterative training is whenever another tenth of it is
// done: done of all, of which the last call told before.
func (s *Session) Progress(before, done, all int, what string) {
	if 10*done/all > 10*before/all {
		s.Log("%d of %d %s", done, all, what)
	}
}

// Trained is what a learner made: the engine that scores the features of Data
// in their order, and how its sums become answers.
type Trained struct {
	Engine    string // of package model
	Body      []byte // the engine's canonical bytes
	Transform model.Transform
	Quantiles []float64 // of models of kind model.Quantiles
}

// Inner returns the session of a training within this one: it goes on from
// saved, and the state that it saves is saved as wrap makes it.
func (s *Session) Inner(saved []byte, wrap func(state []byte) ([]byte, error)) *Session {
	inner := *s
	inner.Saved = saved
	inner.Checkpoint = func(state func() ([]byte, error)) error {
		return s.Checkpoint(func() ([]byte, error) {
			b, err := state()
			if err != nil {
				return nil, err
			}
			return wrap(b)
		})
	}
	return &inner
}
