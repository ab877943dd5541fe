package batch

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// MaxListed is how many jobs a page of a list has at most.
const MaxListed = 200

// maxPassed bounds the jobs that are looked at for a page of those in one
// state: where they are rare, pages are short, and there is a Next.
const maxPassed = 1000

// Listed is a job as the list of its endpoint has it.
type Listed struct {
	ID         string    `json:"JobId"`
	StatusCode State     `json:"StatusCode"`
	Details    *string   `json:"Details"`
	CreatedAt  time.Time `json:"CreatedAt"`
	StartTime  time.Time `json:"StartTime,omitzero"`
	EndTime    time.Time `json:"EndTime,omitzero"`
	Deployment string    `json:"Deployment"`
}

// Page is a part of a list. Next, where set, is what the page after it is
// asked for by.
type Page struct {
	Jobs []Listed `json:"Jobs"`
	Next string   `json:"Next,omitempty"`
}

// List returns up to limit jobs of an endpoint, the newest first; after is the
// Next of the page before, "" for the first. state, where set, is the one that
// clients see the jobs in. Jobs of releases before there was a list are not in
// it.
func (b *Batch) List(ctx context.Context, ws, endpoint, after string, limit int, state State) (*Page, error) {
	if state != "" && (state != state.Classic() || !slices.Contains(states, state)) {
		return nil, fault.New(fault.BadArgument, "InvalidQueryParameter", "state=%.40s: one of NotStarted, Running, Finished, Failed, Cancelled is needed", state).At("state")
	}
	if err := storage.CheckRow(table, after); after != "" && err != nil {
		return nil, fault.New(fault.BadArgument, "InvalidQueryParameter", "after=%.80s: it is not the Next of a page", after).At("after")
	}
	p := &Page{Jobs: []Listed{}}
	r := storage.Range{From: after}
	passed := 0
	for e, err := range b.store.Tables.Query(ctx, table, listPartition(ws, endpoint), r) {
		if err != nil {
			return nil, err
		}
		if e.Row == after {
			continue
		}
		if len(p.Jobs) == min(limit, MaxListed) || passed == maxPassed {
			return p, nil
		}
		passed++
		p.Next = e.Row
		j, err := b.load(ctx, e.Props.Str("job"))
		if gone, err := absent(err); gone {
			continue // its submission died between the two rows
		} else if err != nil {
			return nil, err
		}
		if listRow(j) != e.Row {
			continue // another try of the same submission was faster
		}
		if state != "" && j.State.Classic() != state {
			continue
		}
		l := Listed{ID: j.ID, StatusCode: j.State.Classic(), CreatedAt: j.Created, StartTime: j.Started, EndTime: j.Ended, Deployment: j.Digest}
		if j.Failure != nil {
			text := j.Failure.String()
			l.Details = &text
		}
		p.Jobs = append(p.Jobs, l)
	}
	p.Next = ""
	return p, nil
}

func listPartition(ws, endpoint string) string { return ws + "." + endpoint + ".jobs" }

// listRow sorts the newest first.
func listRow(j *job) string {
	return fmt.Sprintf("%019d.%s", math.MaxInt64-j.Created.UnixMicro(), j.ID)
}

// enlist adds a job to the list of its endpoint.
func (b *Batch) enlist(ctx context.Context, j *job) error {
	if err := b.noteEndpoint(ctx, j.Workspace, j.Endpoint); err != nil {
		return err
	}
	_, err := b.store.Tables.Apply(ctx, table, listPartition(j.Workspace, j.Endpoint),
		storage.Op{Kind: storage.Upsert, Row: listRow(j), Props: storage.Props{"job": j.ID}})
	return err
}
