package module

import "github.com/portico-ml/portico/shared/frame"

// OpFunc is an op without working memory: one that makes new columns in every
// call, as modules do that work on whole tables.
type OpFunc func(in, out []*frame.Frame) error

// NewState makes OpFunc an Op.
func (f OpFunc) NewState() State { return opFuncState(f) }

type opFuncState OpFunc

func (f opFuncState) Apply(in, out []*frame.Frame) error { return f(in, out) }
