package batch

import (
	"math"
	"time"
)

// Pace is how fast a job gets on. What is not known is left out.
type Pace struct {
	Rows  int64 `json:"Rows,omitempty"`  // of the input in all
	Bytes int64 `json:"Bytes,omitempty"` // likewise
	// RowsPerSecond is over all the time since the job began to run,
	// RecentRowsPerSecond over the last minute.
	RowsPerSecond       float64 `json:"RowsPerSecond,omitempty"`
	RecentRowsPerSecond float64 `json:"RecentRowsPerSecond,omitempty"`
	// SecondsLeft is how long the rest of the rows take at the recent rate.
	SecondsLeft *int64 `json:"SecondsLeft,omitempty"`
}

// paceSpan is how far back the recent rate looks: a few chunks, also where one
// worker takes seconds over each.
const paceSpan = time.Minute

// paceOf is the pace of a job of which sum was done at the time at.
func paceOf(j *job, sum *sums, at time.Time) Pace {
	p := Pace{Rows: j.Rows, Bytes: j.Bytes}
	if j.Ran.IsZero() { // planned by a release that did not note it
		return p
	}
	took := at.Sub(j.Ran).Seconds()
	if took <= 0 {
		return p
	}
	p.RowsPerSecond = tenth(float64(sum.RowsIn) / took)
	if j.State != Running || j.Whole {
		return p
	}
	recent := sum.recent / min(took, paceSpan.Seconds())
	p.RecentRowsPerSecond = tenth(recent)
	if recent > 0 {
		left := int64(math.Ceil(float64(max(j.Rows-sum.RowsIn, 0)) / recent))
		p.SecondsLeft = &left
	}
	return p
}

// since is how many of the row's records were done after t, if they were done
// evenly from the first chunk to the last.
func (d *done) since(t time.Time) float64 {
	from := d.begun()
	switch {
	case !from.Before(t):
		return float64(d.RowsIn)
	case !d.At.After(t):
		return 0
	}
	return float64(d.RowsIn) * float64(d.At.Sub(t)) / float64(d.At.Sub(from))
}

func tenth(v float64) float64 { return math.Round(v*10) / 10 }
