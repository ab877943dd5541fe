package model

import "github.com/portico-ml/portico/shared/frame"

// Foreign is a model as a loader found it in another library's file: all that
// the file says, for the importer to complete with a binding.
type Foreign struct {
	Format  string // of the file: "XGBoost JSON"
	Library string // that wrote it, with its version where the file has one: "XGBoost 3.2.0"
	Learner string // "XGBoost gbtree, binary:logistic"
	Kind    Kind
	// Transform makes the answer that the library's own predict gives.
	Transform Transform
	Engine    string // EngineTrees, …
	Body      []byte // the engine's canonical bytes
	Features  []ForeignFeature
	// Classes are in the model's order, where the file has them; NumClasses is
	// how many there are, 0 for regression.
	Classes    []string
	NumClasses int
	Positive   string // where the file says
	// CompleteRows says that the engine cannot score a missing feature.
	CompleteRows bool
	Warnings     []string
}

// ForeignFeature is what a file says of one feature, in the model's order.
type ForeignFeature struct {
	Name string // "" where the file has no names
	// Categorical says that the model takes codes of levels; Levels are those
	// levels in the order of their codes, where the file has them.
	Categorical bool
	Levels      []string
	// Text says that the model takes the text itself.
	Text bool
	Type frame.Type // of a number, where the file says; Double otherwise
}
