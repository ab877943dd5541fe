package batch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPaceOf(t *testing.T) {
	began := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	at := began.Add(100 * time.Second)
	left := func(n int64) *int64 { return &n }
	running := job{State: Running, Ran: began, Rows: 10_000, Bytes: 5000}
	tests := map[string]struct {
		job  job
		sum  sums
		want Pace
	}{
		"under way": {
			running,
			sums{totals{RowsIn: 4000}, 1200},
			Pace{Rows: 10_000, Bytes: 5000, RowsPerSecond: 40, RecentRowsPerSecond: 20, SecondsLeft: left(300)},
		},
		"stands still": {
			running,
			sums{totals{RowsIn: 4000}, 0},
			Pace{Rows: 10_000, Bytes: 5000, RowsPerSecond: 40},
		},
		"has read everything": {
			running,
			sums{totals{RowsIn: 10_000}, 6000},
			Pace{Rows: 10_000, Bytes: 5000, RowsPerSecond: 100, RecentRowsPerSecond: 100, SecondsLeft: left(0)},
		},
		"younger than a minute": {
			job{State: Running, Ran: at.Add(-10 * time.Second), Rows: 10_000},
			sums{totals{RowsIn: 1000}, 1000},
			Pace{Rows: 10_000, RowsPerSecond: 100, RecentRowsPerSecond: 100, SecondsLeft: left(90)},
		},
		"ended": {
			job{State: Finished, Ran: began, Rows: 250},
			sums{totals{RowsIn: 250}, 0},
			Pace{Rows: 250, RowsPerSecond: 2.5},
		},
		"just begun":                {job{State: Running, Ran: at, Rows: 7}, sums{}, Pace{Rows: 7}},
		"planned by an old release": {job{State: Running}, sums{totals{RowsIn: 4000}, 1200}, Pace{}},
	}
	for name, test := range tests {
		if d := cmp.Diff(test.want, paceOf(&test.job, &test.sum, at)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// A group that was done over a longer time than is asked for counts in part.
func TestDone_since(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	tests := []struct {
		from, to, since int
		want            float64
	}{
		{0, 100, 0, 1000},
		{0, 100, 25, 750},
		{0, 100, 100, 0},
		{0, 100, 200, 0},
		{-1, 100, 50, 1000}, // one chunk
		{-1, 100, 101, 0},
	}
	for _, test := range tests {
		d := done{totals: totals{RowsIn: 1000}, At: at(test.to)}
		if test.from >= 0 {
			d.From = at(test.from)
		}
		if got := d.since(at(test.since)); got != test.want {
			t.Errorf("from %d to %d, since %d: %g rows, want %g", test.from, test.to, test.since, got, test.want)
		}
	}
}

// The rows of groups that are closed count as those of open ones do, and the
// total is that of the plan.
func TestStatus_pace(t *testing.T) {
	r := newRig(t)
	r.limits = Limits{ChunkBytes: 10}
	r.restart()
	r.put("in.csv", rows(150)) // two groups close
	id := r.submit(body(""))
	for r.deliver(JobQueue) {
	}
	for range 140 {
		r.deliver(ChunkQueue)
	}
	if _, _, err := r.b.change(t.Context(), id, func(j *job) bool { j.Ran = now().Add(-time.Second); return true }); err != nil {
		t.Fatal(err)
	}
	p := r.status(id).Progress
	if p.Rows != 150 || p.Bytes != int64(len(rows(150))-len(rows(0))) || p.RowsRead != 140 {
		t.Fatalf("progress %+v", p)
	}
	if p.RowsPerSecond <= 0 || p.RecentRowsPerSecond < p.RowsPerSecond*0.99 || p.SecondsLeft == nil || *p.SecondsLeft < 1 {
		t.Errorf("all rows were done in the last minute, 10 are left: pace %+v", p.Pace)
	}
	r.drain()
	if p := r.status(id).Progress; p.BytesDone != p.Bytes {
		t.Errorf("all is done, and of %d bytes %d are", p.Bytes, p.BytesDone)
	}
	if p := r.status(id).Progress; p.RowsPerSecond <= 0 || p.RecentRowsPerSecond != 0 || p.SecondsLeft != nil || p.Rows != 150 {
		t.Errorf("of a job that has ended: %+v", p)
	}
}
