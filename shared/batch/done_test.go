package batch

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/portico-ml/portico/shared/storage"
)

// Groups close from the bottom up, in whatever order their rows come, and the
// root is seen full exactly when all is done.
func TestClose(t *testing.T) {
	for _, chunks := range []int{1, 64, 65, 4096, 4097, 2*4096 + 70} {
		r := newRig(t)
		j := &job{ID: "88888888888888888888888888888888", Chunks: chunks, Window: 256}
		groups := (chunks + fanout - 1) / fanout
		order := rand.New(rand.NewPCG(1, uint64(chunks))).Perm(groups)
		roots := 0
		for k, g := range order {
			var ops []storage.Op
			last := 0
			for n := g * fanout; n < min((g+1)*fanout, chunks); n++ {
				d := done{totals: totals{Chunks: 1, RowsIn: int64(n), Bytes: []int64{1, 2}}, At: now()}
				p, err := d.props()
				if err != nil {
					t.Fatal(err)
				}
				ops = append(ops, storage.Op{Kind: storage.Insert, Row: doneRow(0, n), Props: p})
				last = n
			}
			// All but one row of the group: nothing closes.
			if len(ops) > 1 {
				if _, err := r.inner.Tables.Apply(t.Context(), table, donePartition(j.ID, 0, g*fanout), ops[:len(ops)-1]...); err != nil {
					t.Fatal(err)
				}
				if _, root, err := r.b.close(t.Context(), j, last-1); err != nil || root {
					t.Fatalf("%d chunks: an open group closed the job: %v", chunks, err)
				}
			}
			if _, err := r.inner.Tables.Apply(t.Context(), table, donePartition(j.ID, 0, last), ops[len(ops)-1]); err != nil {
				t.Fatal(err)
			}
			for range 2 { // a message may come twice
				_, root, err := r.b.close(t.Context(), j, last)
				if err != nil {
					t.Fatal(err)
				}
				if root != (k == groups-1) {
					t.Fatalf("%d chunks: root = %v at group %d of %d", chunks, root, k+1, groups)
				}
				if root {
					roots++
				}
			}
		}
		sum, full, err := r.b.total(t.Context(), j)
		if err != nil || !full || sum.Chunks != chunks || sum.RowsIn != int64(chunks*(chunks-1)/2) || sum.Bytes[1] != int64(2*chunks) {
			t.Errorf("%d chunks: total %+v, full %v, %v", chunks, sum, full, err)
		}
		if roots != 2 {
			t.Errorf("%d chunks: the root was seen full %d times", chunks, roots)
		}
		all, err := r.b.chunksDone(t.Context(), j)
		if err != nil || len(all) != chunks || all[chunks-1].RowsIn != int64(chunks-1) {
			t.Errorf("%d chunks: %d rows, %v", chunks, len(all), err)
		}
	}
}

// Names of ports that are no names of blobs get one of their own.
func TestSafe(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"output1", "Output 1", "output/1", "../x", "_errors2", ".", "", "ü", errorFile} {
		got := safe(name)
		if err := storage.CheckKey("ws/jobs/j/p/" + got + ".csv"); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if other, dup := seen[got]; dup {
			t.Errorf("%q and %q are both %q", name, other, got)
		}
		seen[got] = name
	}
	if safe("output1") != "output1" || safe(errorFile) != errorFile {
		t.Error("a plain name was changed")
	}
}

// What the end of a file says of a wide part is more than a property takes.
func TestDone_wide(t *testing.T) {
	r := newRig(t)
	want := done{totals: totals{Chunks: 1, RowsIn: 7, Bytes: []int64{3}}, Tails: [][]byte{bytes.Repeat([]byte("columns "), 30_000)}, At: now()}
	if err := r.b.record(t.Context(), "wide", 3, want); err != nil {
		t.Fatal(err)
	}
	rows, err := r.b.group(t.Context(), "wide", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[int]done{3: want}, rows, cmp.AllowUnexported(done{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
