// Package doctor looks at an installation and says what is wrong with it: at
// the machine that the program runs on with the program's own settings, and at
// a server from outside.
//
// What it writes to find out whether it may, it writes under names of its own
// and removes: blobs doctor/{id} in the containers portico and dropdone, rows of
// partition doctor in table catalog, messages of queue doctor. The container
// drop is only listed: a file there would be scored.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

// State is what a check came to.
type State string

// The states of a check.
const (
	OK      State = "ok"
	Warning State = "warning" // works, but somebody should look
	Failed  State = "failed"
	Skipped State = "skipped"
)

// Check is one thing looked at. Detail never holds the value of a setting.
type Check struct {
	Name   string `json:"check"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"`
}

// limit bounds one check.
const limit = 30 * time.Second

// checkup gathers checks.
type checkup []Check

func (c *checkup) add(name string, s State, format string, args ...any) {
	*c = append(*c, Check{name, s, fmt.Sprintf(format, args...)})
}

// try adds a check that is well where act succeeds. act returns what there is
// to say of it.
func (c *checkup) try(ctx context.Context, name string, act func(context.Context) (string, error)) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	detail, err := act(ctx)
	if err != nil {
		c.add(name, Failed, "%s", explain(err))
		return false
	}
	if detail != "" {
		detail += ", "
	}
	c.add(name, OK, "%sin %v", detail, time.Since(began).Round(time.Millisecond))
	return true
}

// explain is an error for an operator: the cause, which callers of the program
// are never told, is what they need.
func explain(err error) string {
	e := fault.Of(err)
	text := e.Kind.String() + ": " + strings.ReplaceAll(e.Error(), e.Kind.String()+": ", "") // which each layer says again
	if errors.Is(err, context.DeadlineExceeded) {
		text = fmt.Sprintf("no answer within %v", limit)
	}
	return text
}

// Clocks that differ by more than this are worth a warning, or break
// signatures and tokens.
const (
	skewWarning = 5 * time.Second
	skewFailure = time.Minute
)

// clock judges how far another clock is ahead of this one.
func (c *checkup) clock(name string, ahead time.Duration) {
	state, far := OK, ahead.Abs()
	switch {
	case far > skewFailure:
		state = Failed
	case far > skewWarning:
		state = Warning
	}
	which := "ahead of"
	if ahead < 0 {
		which = "behind"
	}
	if far < time.Second {
		c.add(name, OK, "the same as this machine's to the second")
		return
	}
	c.add(name, state, "%v %s this machine's", far.Round(time.Second), which)
}

// Healthy reports whether nothing failed.
func Healthy(checks []Check) bool {
	for _, c := range checks {
		if c.State == Failed {
			return false
		}
	}
	return true
}
