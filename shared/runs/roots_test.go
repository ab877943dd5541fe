package runs_test

import (
	"slices"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/runs"
)

func (b *bench) roots() map[string]bool {
	b.t.Helper()
	out := map[string]bool{}
	if err := b.runs.Roots(b.t.Context(), b.ws, func(d string) { out[d] = true }); err != nil {
		b.t.Fatal(err)
	}
	return out
}

// results are the digests of what the nodes of a run gave.
func results(r *runs.Run) (out []string) {
	for _, n := range r.Nodes {
		for _, res := range n.Results {
			out = append(out, res.Digest)
		}
	}
	return out
}

func (b *bench) trim(limit int64, dry bool) (found []garbage.Item) {
	b.t.Helper()
	for _, part := range "0123456789abcdef" {
		if err := b.runs.Trim(limit)(b.t.Context(), b.ws, string(part), dry, func(it garbage.Item) { found = append(found, it) }); err != nil {
			b.t.Fatal(err)
		}
	}
	return found
}

// The results of the last successful run stay, whatever its age; those of the
// runs before as long as they are to be kept.
func TestRoots(t *testing.T) {
	b, id := smallBench(t)
	first := b.run(id)
	b.dataset("numbers", []byte("a,b\n10,x\n,y\n30,z\n"))
	second := b.run(id)
	b.trim(0, false) // the cache would keep them all
	all := func(roots map[string]bool, r *runs.Run) (n int) {
		for _, d := range results(r) {
			if roots[d] {
				n++
			}
		}
		return n
	}
	want := len(results(first))
	if roots := b.roots(); all(roots, first) != want || all(roots, second) != want || want == 0 {
		t.Errorf("within their retention %d and %d results are kept, of %d", all(roots, first), all(roots, second), want)
	}
	b.runs = runs.New(runs.Config{Store: &b.store, Catalog: b.catalog, Retention: time.Nanosecond})
	if roots := b.roots(); all(roots, first) != 0 || all(roots, second) != want {
		t.Errorf("after it %d and %d are, want 0 and %d", all(roots, first), all(roots, second), want)
	}
	// One that is at work keeps what it has, also of an experiment that is gone.
	third, err := b.runs.Start(t.Context(), b.ws, id, "ada")
	if err != nil {
		t.Fatal(err)
	}
	x, err := b.catalog.Experiment(t.Context(), b.ws, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.catalog.DeleteExperiment(t.Context(), b.ws, id, x.Revision, auth.Identity{Issuer: "https://i", Subject: "ada"}); err != nil {
		t.Fatal(err)
	}
	if roots := b.roots(); !roots[third.Assets["d"].Digest] || all(roots, second) != 0 {
		t.Errorf("the run at work keeps its data: %v; that of the past %d results", roots[third.Assets["d"].Digest], all(roots, second))
	}
}

func TestTrim(t *testing.T) {
	b, id := smallBench(t)
	b.run(id)
	time.Sleep(2 * time.Millisecond)
	b.dataset("numbers", []byte("a,b\n10,x\n,y\n30,z\n"))
	run := b.run(id)
	all := b.trim(0, true)
	size := int64(0)
	for _, it := range all {
		if it.Bytes == 0 || it.Since.IsZero() {
			t.Errorf("%+v", it)
		}
		size += it.Bytes
	}
	if len(all) != 6 || !slices.IsSortedFunc(all, func(a, b garbage.Item) int { return a.Since.Compare(b.Since) }) {
		t.Fatalf("the cache of two runs of three nodes has %v", all)
	}
	if got := b.trim(size, false); len(got) != 0 {
		t.Errorf("%v went of a cache that is not too large", got)
	}
	got := b.trim(size-all[0].Bytes-1, false)
	if len(got) != 2 || got[0] != all[0] || got[1] != all[1] {
		t.Errorf("%v went, want the two oldest of %v", got, all)
	}
	again := b.run(id)
	for i, n := range again.Nodes {
		if !n.Cached {
			t.Errorf("node %s of %d was not in the cache", n.ID, i)
		}
	}
	b.trim(0, false)
	if left := b.trim(0, true); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
	if fresh := b.run(id); fresh.State != runs.Finished || fresh.Nodes[0].Cached || !slices.Equal(results(fresh), results(run)) {
		t.Errorf("without the cache: %+v", fresh)
	}
}
