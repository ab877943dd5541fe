package runs

import (
	"context"
	"errors"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

// checkpoints saves what a long training needs to go on, as an artifact that
// the node's row names.
type checkpoints struct {
	x    *executor
	n    *Node
	last time.Time // of the last save

	told  time.Time // when the node's row was written last
	lines int       // of its log that were in it
}

// read returns what an earlier execution saved; nil where there is nothing, or
// nothing any more: the training then begins anew.
func (c *checkpoints) read(ctx context.Context) ([]byte, error) {
	if c.n.saved == "" {
		return nil, nil
	}
	body, err := c.x.r.artifacts.Get(ctx, c.x.run.Workspace, c.n.saved)
	if fault.Is(err, fault.NotFound) {
		c.n.saved = ""
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "read a training's checkpoint")
	}
	c.n.logf("training goes on from its checkpoint of %d bytes", len(body))
	return body, nil
}

// offer saves a state when it is time to, and ends the training with errSlice
// when the message's time is over. What was saved is progress: deaths of the
// worker count from there.
func (c *checkpoints) offer(ctx context.Context, state func() ([]byte, error)) error {
	over := time.Since(c.x.begun) > c.x.r.limits.Slice
	if !over && time.Since(c.last) < c.x.r.limits.Save {
		if err := ctx.Err(); err != nil {
			return err
		}
		return c.tell(ctx)
	}
	body, err := state()
	if err != nil {
		return err
	}
	if c.n.saved, err = c.x.r.artifacts.Put(ctx, c.x.run.Workspace, body); err != nil {
		return fault.Wrap(err, fault.Unavailable, "save a training's checkpoint")
	}
	if c.n.starts = 1; over {
		c.n.starts = 0
	}
	if err := c.x.step(ctx, c.n); err != nil {
		return err
	}
	if c.last = time.Now(); over {
		return errSlice
	}
	return nil
}

// tell writes the node's row when there is news in its log, for whoever follows
// the run. That storage fails is no reason to end the training.
func (c *checkpoints) tell(ctx context.Context) error {
	if len(c.n.Log) == c.lines || time.Since(c.told) < c.x.r.limits.Beat {
		return nil
	}
	c.told, c.lines = time.Now(), len(c.n.Log)
	if err := c.x.step(ctx, c.n); errors.Is(err, errLost) {
		return err
	}
	return nil
}
