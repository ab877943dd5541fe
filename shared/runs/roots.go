package runs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/storage"
)

// A workspace's cache of results has 256 partitions, one for each first two
// digits of a key.
func cacheParts(ws string) func(yield func(partition string) bool) {
	return func(yield func(string) bool) {
		for i := range 256 {
			if !yield(fmt.Sprintf("%s.cache.%02x", ws, i)) {
				return
			}
		}
	}
}

// readers is how many partitions are read at once where many are.
const readers = 16

// Roots calls keep with the digest of every artifact that the workspace's runs
// need: the document of each run; the results, and what a training saved to go
// on from, of runs that have not ended or are younger than Retention, and of the
// last successful run of each experiment, from which services are published;
// and what the cache of results holds.
func (r *Runs) Roots(ctx context.Context, ws string, keep func(digest string)) error {
	var mu sync.Mutex
	name := func(digests ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, d := range digests {
			if d != "" {
				keep(d)
			}
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	// Those at work come first: a run that ends meanwhile is found in the list
	// of its experiment, whose results are younger than any retention.
	for e, err := range r.actives(ctx) {
		if err != nil {
			return err
		}
		if in, id, _ := strings.Cut(e.Row, "."); in == ws {
			g.Go(func() error { return r.keepRun(ctx, ws, id, name) })
		}
	}
	all, err := r.catalog.Experiments(ctx, ws)
	if err != nil {
		return err
	}
	for _, x := range all {
		g.Go(func() error { return r.keepRuns(ctx, ws, x.ID, name) })
	}
	for partition := range cacheParts(ws) {
		g.Go(func() error {
			for e, err := range r.tables.Query(ctx, table, partition, storage.Range{}) {
				if err != nil {
					return err
				}
				var results []Result
				if err := decode(e.Props, "results", &results); err != nil {
					return err
				}
				name(digests(results)...)
			}
			return nil
		})
	}
	return g.Wait()
}

// keepRuns names what the runs of an experiment need.
func (r *Runs) keepRuns(ctx context.Context, ws, experimentID string, name func(...string)) error {
	finished := false
	for e, err := range r.tables.Query(ctx, table, ws+"."+experimentID, storage.Range{}) {
		if err != nil {
			return err
		}
		run, err := r.row(ctx, ws, e.Props.Str("run"))
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		name(run.doc)
		last := run.State == Finished && !finished
		finished = finished || last
		if !last && run.State.Ended() && now().Sub(run.Ended) >= r.retention {
			continue
		}
		if err := r.keepRun(ctx, ws, run.ID, name); err != nil {
			return err
		}
	}
	return nil
}

// keepRun names all that a run needs.
func (r *Runs) keepRun(ctx context.Context, ws, id string, name func(...string)) error {
	run, nodes, err := r.read(ctx, ws, id)
	if fault.Is(err, fault.NotFound) {
		return nil // Start is about to write it, and has just stored its document
	}
	if err != nil {
		return err
	}
	name(run.doc)
	for _, a := range run.Assets {
		name(a.Digest)
	}
	for _, n := range nodes {
		name(n.saved)
		name(digests(n.Results)...)
	}
	return nil
}

func digests(results []Result) []string {
	out := make([]string, 0, 3*len(results))
	for _, res := range results {
		out = append(out, res.Digest, res.Schema, res.View)
	}
	return out
}

// kept is a row of the cache.
type kept struct {
	partition, row, etag string
	garbage.Item
}

// unmeasured is what a row counts that a release wrote that did not measure.
const unmeasured = 1 << 20

// used is how old the note of a row's last use may get.
const usedAge = time.Hour

// Trim returns the garbage.Collector of a workspace's cache of results: where
// it holds more than limit bytes, the rows go that were not used for longest.
// Their artifacts go where no run needs them. All of it is one part's affair:
// which row is the oldest is known when all have been read.
func (r *Runs) Trim(limit int64) garbage.Collector {
	return func(ctx context.Context, ws, part string, dry bool, found func(garbage.Item)) error {
		if part != "0" {
			return nil
		}
		rows, err := r.keptRows(ctx, ws)
		if err != nil {
			return err
		}
		size := int64(0)
		for _, k := range rows {
			size += k.Bytes
		}
		slices.SortFunc(rows, func(a, b kept) int {
			return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Name, b.Name))
		})
		for _, k := range rows {
			if size <= limit {
				return nil
			}
			if size -= k.Bytes; !dry {
				_, err := r.tables.Apply(ctx, table, k.partition, storage.Op{Kind: storage.Delete, Row: k.row, IfMatch: k.etag})
				if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
					continue // used just now, or gone
				}
				if err != nil {
					return err
				}
			}
			found(k.Item)
		}
		return nil
	}
}

// keptRows reads the cache.
func (r *Runs) keptRows(ctx context.Context, ws string) (rows []kept, err error) {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for partition := range cacheParts(ws) {
		g.Go(func() error {
			for e, err := range r.tables.Query(ctx, table, partition, storage.Range{}) {
				if err != nil {
					return err
				}
				k := kept{partition, e.Row, e.ETag, garbage.Item{Name: e.Row, Bytes: unmeasured, Since: e.Props.Time("used")}}
				if n, ok := e.Props["bytes"].(int64); ok {
					k.Bytes = n
				}
				if k.Since.IsZero() {
					k.Since = e.Props.Time("created")
				}
				mu.Lock()
				rows = append(rows, k)
				mu.Unlock()
			}
			return nil
		})
	}
	return rows, g.Wait()
}
