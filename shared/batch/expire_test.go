package batch

import (
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// expire is a round of Expire.
func (r *rig) expire(dry bool) (found []garbage.Item, err error) {
	for _, part := range "0123456789abcdef" {
		err = r.b.Expire(r.t.Context(), ws, string(part), dry, func(it garbage.Item) { found = append(found, it) })
		if err != nil {
			break
		}
	}
	return found, err
}

// left counts the blobs of a job, and the rows of its chunks.
func (r *rig) left(id string) (blobs, rows int) {
	r.t.Helper()
	for _, err := range r.inner.Blobs.List(r.t.Context(), jobPrefix(ws, id)) {
		if err != nil {
			r.t.Fatal(err)
		}
		blobs++
	}
	for level := range levels {
		for n := range 3 {
			for _, err := range r.inner.Tables.Query(r.t.Context(), table, donePartition(id, level, n*fanout), storage.Range{}) {
				if err != nil {
					r.t.Fatal(err)
				}
				rows++
			}
		}
	}
	return blobs, rows
}

// age makes a job one that ended long ago.
func (r *rig) age(id string, days int) {
	r.t.Helper()
	if _, _, err := r.b.change(r.t.Context(), id, func(j *job) bool {
		j.Ended = now().Add(-time.Duration(days) * 24 * time.Hour)
		return true
	}); err != nil {
		r.t.Fatal(err)
	}
}

func TestExpire(t *testing.T) {
	r := newRig(t)
	r.limits = Limits{ChunkBytes: 10}
	r.restart()
	r.put("in.csv", rows(150))
	own := r.submitOther(`{"Input":` + ref("in.csv") + `}`)
	r.drain()
	placed := r.submitOther(body(""))
	r.drain()
	young := r.submitOther(`{"Input":` + ref("in.csv") + `}`)
	r.drain()
	running := r.submitOther(`{"Input":` + ref("in.csv") + `}`)
	for r.deliver(JobQueue) {
	}
	for range 10 {
		r.deliver(ChunkQueue)
	}
	r.age(own, 8)
	r.age(placed, 8)
	r.age(young, 6)
	seen, err := r.expire(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range seen {
		if !strings.HasPrefix(it.Name, jobPrefix(ws, own)) && !strings.HasPrefix(it.Name, jobPrefix(ws, placed)) || it.Bytes == 0 || time.Since(it.Since) < 7*24*time.Hour {
			t.Errorf("%+v is to go", it)
		}
	}
	if blobs, n := r.left(own); blobs == 0 || n != 153 {
		t.Fatalf("a look left %d blobs and %d rows", blobs, n)
	}
	if gone, err := r.expire(false); err != nil || len(gone) != len(seen) {
		t.Fatalf("%d items went, of %d; %v", len(gone), len(seen), err)
	}
	for _, id := range []string{own, placed} {
		if blobs, n := r.left(id); blobs != 0 || n != 0 {
			t.Errorf("%d blobs and %d rows are left", blobs, n)
		}
	}
	for _, id := range []string{young, running} {
		if blobs, n := r.left(id); blobs == 0 || n == 0 {
			t.Errorf("of a job that is to stay %d blobs and %d rows are left", blobs, n)
		}
	}
	// The status says so, and still knows where the caller had it put.
	s := r.status(own)
	if s.StatusCode != Finished || len(s.Results) != 0 || !strings.Contains(details(s), "7 days") || s.Progress.RowsRead != 150 {
		t.Errorf("status %+v: %s", s, details(s))
	}
	if s := r.status(placed); len(s.Results) != 1 || s.Results["output1"].RelativeLocation != "portico/out.csv" {
		t.Errorf("results %v", s.Results)
	}
	r.drain()
	if s := r.status(running); s.StatusCode != Finished {
		t.Errorf("%s: %s", s.StatusCode, details(s))
	}
	if again, err := r.expire(false); err != nil || len(again) != 0 {
		t.Errorf("another round took %v, %v", again, err)
	}
}

// What a submission left that died goes after a day; one at work is left
// alone.
func TestExpire_orphans(t *testing.T) {
	r := newRig(t)
	key := inputKey(ws, "88888888888888888888888888888888", "input1", digest, "csv")
	if _, err := r.inner.Blobs.Put(t.Context(), key, []byte(small), nil, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	if gone, err := r.expire(false); err != nil || len(gone) != 0 {
		t.Fatalf("%v went, %v", gone, err)
	}
	old := older{r.store.Blobs}
	r.b.store = &storage.Store{Blobs: old, Tables: r.store.Tables, Queues: r.store.Queues}
	if gone, err := r.expire(false); err != nil || len(gone) != 1 || gone[0].Name != key {
		t.Errorf("%v went, %v", gone, err)
	}
}

// older shows blobs as they will look in two days.
type older struct{ storage.Blobs }

func (o older) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return func(yield func(storage.BlobInfo, error) bool) {
		for info, err := range o.Blobs.List(ctx, prefix) {
			info.Modified = info.Modified.Add(-2 * 24 * time.Hour)
			if !yield(info, err) {
				return
			}
		}
	}
}

// Wherever a round ends, the next ones do the rest.
func TestExpire_everyCall(t *testing.T) {
	for n := 1; ; n++ {
		r := dirtyRig(t, false)
		id := r.submit(body(`{"RowErrors":"collect"}`))
		r.drain()
		r.age(id, 8)
		r.store.Revive()
		r.store.Plan(faulty.Nth(n, []faulty.Effect{faulty.FailBefore, faulty.FailAfter}[n%2]))
		_, err := r.expire(false)
		r.store.Plan()
		if _, err := r.expire(false); err != nil {
			t.Fatal(err)
		}
		if blobs, rows := r.left(id); blobs != 0 || rows != 0 {
			t.Errorf("after call %d failed (%v): %d blobs, %d rows are left", n, err, blobs, rows)
		}
		if err == nil {
			t.Logf("%d calls", n-1)
			return
		}
	}
}
