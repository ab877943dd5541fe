package module

import (
	"context"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/frame"
)

// Outside is what the modules that are Outside reach the world by. It knows
// the workspace they work for.
type Outside interface {
	// Import reads all of a place: by the schema pinned, or where that is nil
	// with the types that the source has or that its cells show.
	Import(ctx context.Context, p connect.Place, pinned frame.Schema) (*frame.Frame, error)
	// Export writes a table for the node of that id: once for the execution
	// that this is part of, where the place can remember it.
	Export(ctx context.Context, node string, p connect.Place, f *frame.Frame) error
	// Fetch reads a file of at most limit bytes.
	Fetch(ctx context.Context, p connect.Place, limit int64) ([]byte, error)
}

// Beyond returns the call's Outside. A program that has none, as a test may
// be, gets a clear error.
func (c *Call) Beyond() (Outside, error) {
	if c.Outside == nil {
		return nil, Errorf(1000, "the module reads or writes outside the experiment, which cannot be done here")
	}
	return c.Outside, nil
}

// With returns the values with another text for one parameter, as a credential
// that comes with a run.
func (v Values) With(name, text string) Values { return v.with(name, text) }
