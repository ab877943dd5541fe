package xgboost

import (
	"fmt"
)

// reader reads a document, JSON or UBJSON, value by value from front to back,
// so that a file is never held in memory twice: what the loader does not need
// is skipped, and numbers go straight into the arrays they are for. Every
// method consumes one value.
type reader interface {
	// object calls member for each key; member must consume the value.
	object(member func(key string) error) error
	// array calls item for each element; item must consume it.
	array(item func() error) error
	text() (string, error)
	// number reads one number that has an integral value.
	number() (int64, error)
	// floats, doubles and ints read an array of numbers; booleans count as 0
	// and 1 in ints.
	floats() ([]float32, error)
	doubles() ([]float64, error)
	ints() ([]int32, error)
	skip() error
	// end reports anything after the document.
	end() error
}

// maxDepth is how deep values may nest; XGBoost's own files stay below ten.
const maxDepth = 64

// syntaxError is damage at a place in the file.
type syntaxError struct {
	offset int
	reason string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.reason, e.offset) }
