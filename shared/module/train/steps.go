package train

import (
	"context"
	"encoding/json"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/module"
)

// steps is a module's trainings, one after another. What a call has done is
// saved with the state of the training it is in, and a later call with what was
// saved repeats nothing of it.
type steps struct {
	call *module.Call
	done [][]byte // results of the steps that an earlier call has done
	next int
	// inner is the state of the training that the earlier call was in.
	inner []byte
}

// progress is what steps save.
type progress struct {
	Done  [][]byte `json:"done"`
	Inner []byte   `json:"inner,omitempty"`
}

func newSteps(c *module.Call) (*steps, error) {
	s := &steps{call: c}
	if c.Saved == nil {
		return s, nil
	}
	var p progress
	if err := json.Unmarshal(c.Saved, &p); err != nil {
		return nil, module.Errorf(1000, "what an interrupted training saved cannot be read: %v", err)
	}
	s.done, s.inner = p.Done, p.Inner
	return s, nil
}

// do is one step: it trains l, and result makes of the model what the step
// gives. The result of a step that was done before is what it was.
func (s *steps) do(ctx context.Context, l learn.Learner, r learn.Request, result func(artifact []byte) ([]byte, error)) ([]byte, error) {
	if at := s.next; at < len(s.done) {
		s.next++
		return s.done[at], nil
	}
	call := *s.call
	call.Saved, s.inner = s.inner, nil
	if s.next > 0 { // what the first training says of the columns holds for all
		call.Log = func(string, ...any) {}
	}
	if s.call.Checkpoint != nil {
		call.Checkpoint = func(state func() ([]byte, error)) error {
			return s.call.Checkpoint(func() ([]byte, error) {
				inner, err := state()
				if err != nil {
					return nil, err
				}
				return json.Marshal(progress{s.done, inner})
			})
		}
	}
	artifact, _, err := call.Train(ctx, l, r)
	if err != nil {
		return nil, err
	}
	out, err := result(artifact)
	if err != nil {
		return nil, err
	}
	s.done = append(s.done, out)
	s.next++
	if s.call.Checkpoint == nil {
		return out, ctx.Err()
	}
	return out, s.call.Checkpoint(func() ([]byte, error) { return json.Marshal(progress{Done: s.done}) })
}

// itself is the result of a step that gives its trained model itself.
func itself(artifact []byte) ([]byte, error) { return artifact, nil }
