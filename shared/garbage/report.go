package garbage

import (
	"context"
	"time"
)

// A Kind is a kind of garbage, by the name that reports give it.
type Kind struct {
	Name    string
	Collect Collector
}

// Report is what would be collected in a workspace.
type Report struct {
	Kinds []KindReport `json:"kinds"`
	// Complete is false where the time was not enough to look at everything:
	// there is at least what the report says.
	Complete bool `json:"complete"`
}

// KindReport is the garbage of one kind.
type KindReport struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
	Bytes int64  `json:"bytes"`
	First []Item `json:"first"` // at most firstItems of them
}

const firstItems = 20

// reportTime bounds what a report may take.
const reportTime = 20 * time.Second

// Look reports what would be collected in a workspace. It changes nothing.
func Look(ctx context.Context, ws string, kinds []Kind) (*Report, error) {
	within, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	r := &Report{Kinds: make([]KindReport, 0, len(kinds)), Complete: true}
	for _, k := range kinds {
		kr := KindReport{Kind: k.Name, First: []Item{}}
		err := each(within, ws, k, &kr)
		if err != nil && (ctx.Err() != nil || within.Err() == nil) {
			return nil, err
		}
		r.Complete = r.Complete && err == nil
		r.Kinds = append(r.Kinds, kr)
	}
	return r, nil
}

func each(ctx context.Context, ws string, k Kind, kr *KindReport) error {
	for i := range parts {
		err := k.Collect(ctx, ws, parts[i:i+1], true, func(it Item) {
			kr.Count++
			kr.Bytes += it.Bytes
			if len(kr.First) < firstItems {
				kr.First = append(kr.First, it)
			}
		})
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}
