// Package scoring runs a deployment: frames in, frames out. It is the one code
// path under RRS, BES, runs and tests, so that their answers cannot differ.
package scoring

import (
	"context"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

// Assets reads the artifact of a digest.
type Assets func(ctx context.Context, digest string) ([]byte, error)

// Deployment is a manifest compiled and loaded, immutable, for any number of
// concurrent sessions.
type Deployment struct {
	Digest   string
	Manifest *service.Manifest
}

// Load verifies manifest against digest, reads its assets and compiles its
// plan.
func Load(ctx context.Context, digest string, manifest []byte, assets Assets) (*Deployment, error) {
	panic("being built")
}

// Size is the approximate memory the deployment holds, in bytes.
func (d *Deployment) Size() int64 { panic("being built") }

// Input and Output return the compiled layouts of the ports, in the manifest's order.
func (d *Deployment) Input(i int) *frame.Layout  { panic("being built") }
func (d *Deployment) Output(i int) *frame.Layout { panic("being built") }

// Session takes a pooled session: the working memory of one call. Release it
// from the goroutine that scored; drop it (do not release) after a panic or a
// deadline.
func (d *Deployment) Session() *Session { panic("being built") }

// Session is one call's frames. Not for concurrent use.
type Session struct {
	// Inputs are empty frames in the layouts of the deployment's inputs, for
	// the caller to fill.
	Inputs []*frame.Frame
	// Counts are what the last Score met.
	Counts Counts
}

// Counts are facts about the rows of one Score.
type Counts struct {
	Rows          int
	Missing       int // missing cells in columns a model reads
	UnknownLevels int
}

// SetParameters fixes the call's global parameters, as text; a parameter left
// out takes its default. Errors: UnexpectedParameter, UserParameterInvalid,
// MissingRequiredGlobalParameters.
func (s *Session) SetParameters(given map[string]string) error { panic("being built") }

// Score runs the plan over Inputs. The frames returned are in the order of the
// manifest's outputs and valid until Reset or Release. ctx's deadline is
// checked per block of rows.
func (s *Session) Score(ctx context.Context) ([]*frame.Frame, error) { panic("being built") }

// Reset empties the inputs for another Score with the same parameters.
func (s *Session) Reset() { panic("being built") }

// Release gives the session's memory back.
func (s *Session) Release() { panic("being built") }
