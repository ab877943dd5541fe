package batch

import (
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// collect is a round of a collector.
func (r *rig) collect(c garbage.Collector, dry bool) (names []string, err error) {
	for _, part := range "0123456789abcdef" {
		if err := c(r.t.Context(), ws, string(part), dry, func(it garbage.Item) { names = append(names, it.Name) }); err != nil {
			return names, err
		}
	}
	return names, nil
}

// backdate makes a job one that was submitted and ended so many days ago.
func (r *rig) backdate(id string, days int) {
	r.t.Helper()
	before, err := r.b.load(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	after := *before
	after.Created = now().Add(-time.Duration(days) * 24 * time.Hour).Add(-time.Hour)
	part := listPartition(ws, before.Endpoint)
	_, err = r.inner.Tables.Apply(r.t.Context(), table, part,
		storage.Op{Kind: storage.Delete, Row: listRow(before), IfMatch: storage.AnyETag},
		storage.Op{Kind: storage.Insert, Row: listRow(&after), Props: storage.Props{"job": id}})
	if err == nil {
		_, _, err = r.b.change(r.t.Context(), id, func(j *job) bool {
			j.Created = after.Created
			return true
		})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.age(id, days)
}

// rowsOf counts the rows that name a job: its own, its chunks', its place in
// the list.
func (r *rig) rowsOf(id string) (n int) {
	r.t.Helper()
	for _, part := range []string{id, donePartition(id, 0, 0), donePartition(id, 0, fanout), donePartition(id, 1, 0), listPartition(ws, endpoint)} {
		for e, err := range r.inner.Tables.Query(r.t.Context(), table, part, storage.Range{}) {
			if err != nil {
				r.t.Fatal(err)
			}
			if part != listPartition(ws, endpoint) || e.Props.Str("job") == id {
				n++
			}
		}
	}
	return n
}

// A job can be asked about for RecordDays after its end; then nothing of it is
// left, whenever the sweep died meanwhile.
func TestForget(t *testing.T) {
	r := newRig(t)
	r.limits = Limits{ChunkBytes: 10}
	r.restart()
	r.put("in.csv", rows(100))
	input := `{"Input":` + ref("in.csv") + `}`
	old, young, running := r.submitOther(input), r.submitOther(input), ""
	r.drain()
	running = r.submitOther(input)
	for r.deliver(JobQueue) {
	}
	r.backdate(old, 91)
	r.backdate(young, 89)
	// Its results come first; that it goes behind them is said beforehand.
	if got, err := r.collect(r.b.Forget, true); err != nil || len(got) != 1 || got[0] != old {
		t.Fatalf("with its results there a look found %v, want %s; %v", got, old, err)
	}
	if got, err := r.collect(r.b.Forget, false); err != nil || got != nil {
		t.Fatalf("with its results there %v went, %v", got, err)
	}
	if _, err := r.expire(false); err != nil {
		t.Fatal(err)
	}
	if got, err := r.collect(r.b.Forget, true); err != nil || len(got) != 1 || got[0] != old {
		t.Fatalf("a look found %v, want %s; %v", got, old, err)
	}
	if s := r.status(old); s.StatusCode != Finished || r.rowsOf(old) != 2 {
		t.Fatalf("a look changed it: %s, %d rows", s.StatusCode, r.rowsOf(old))
	}
	for n := 1; ; n++ {
		r.store.Revive()
		r.store.Plan(faulty.NthWrite(n, faulty.CrashAfter))
		_, err := r.collect(r.b.Forget, false)
		dead := r.store.Dead()
		r.store.Revive()
		if !dead {
			if err != nil || n == 1 {
				t.Fatalf("write %d: %v", n, err)
			}
			break
		}
	}
	if n := r.rowsOf(old); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if _, err := r.b.Status(t.Context(), ws, endpoint, old); !fault.Is(err, fault.NotFound) {
		t.Errorf("status of a forgotten job: %v", err)
	}
	if s := r.status(young); s.StatusCode != Finished {
		t.Errorf("the younger one is %s", s.StatusCode)
	}
	page, err := r.b.List(t.Context(), ws, endpoint, "", 10, "")
	if err != nil || len(page.Jobs) != 2 || page.Jobs[0].ID != running || page.Jobs[1].ID != young {
		t.Errorf("the list: %+v, %v", page, err)
	}
	r.drain()
	if s := r.status(running); s.StatusCode != Finished {
		t.Errorf("the running one is %s", s.StatusCode)
	}
}

// Dropped files go with their answers, unless there is none yet.
func TestExpireDrops(t *testing.T) {
	r := newRig(t)
	r.dropFile(strings.ReplaceAll(dirty, "10,1", "100,1"))
	r.tell()
	r.drain()
	unanswered := ws + "/tariff/later.csv"
	if _, err := r.inner.Drop.Put(t.Context(), unanswered, []byte("id\n"), nil, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	if got, err := r.collect(r.b.ExpireDrops, false); err != nil || got != nil {
		t.Fatalf("%v went within their time, %v", got, err)
	}
	r.limits = Limits{DropDays: -1} // a day has passed since tomorrow
	r.restart()
	files := len(r.answers())
	if files < 2 {
		t.Fatalf("%d answers", files)
	}
	look, err := r.collect(r.b.ExpireDrops, true)
	if err != nil || len(look) != files+1 || look[0] != "drop/"+dropKey {
		t.Fatalf("a look found %v, %v", look, err)
	}
	for n := 1; ; n++ {
		r.store.Revive()
		r.store.Plan(faulty.NthWrite(n, faulty.CrashBefore))
		_, err := r.collect(r.b.ExpireDrops, false)
		dead := r.store.Dead()
		r.store.Revive()
		if !dead {
			if err != nil || n == 1 {
				t.Fatalf("write %d: %v", n, err)
			}
			break
		}
	}
	if left := r.answers(); len(left) != 0 {
		t.Errorf("answers are left: %v", left)
	}
	if _, err := r.inner.Drop.Head(t.Context(), dropKey); !fault.Is(err, fault.NotFound) {
		t.Errorf("the file is left: %v", err)
	}
	if _, err := r.inner.Drop.Head(t.Context(), unanswered); err != nil {
		t.Errorf("a file without an answer: %v", err)
	}
}
