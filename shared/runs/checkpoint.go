package runs

import (
	"context"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

// checkpoints saves what a long training needs to go on, as an artifact that
// the node's row names.
type checkpoints struct {
	x    *executor
	n    *Node
	last time.Time // of the last save
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
		return ctx.Err()
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
