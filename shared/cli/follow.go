package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/client"
)

// jobReport is what is told of a job in JSON.
type jobReport struct {
	Job     string          `json:"job"`
	Address string          `json:"address"`
	Status  json.RawMessage `json:"status,omitempty"`
	Files   []string        `json:"files,omitempty"`

	state batch.Status
}

// status asks for a job's status.
func (t *target) status(ctx context.Context, id string) (*jobReport, error) {
	r := &jobReport{Job: id, Address: t.Base() + t.job(id)}
	var err error
	r.Status, err = t.Get(ctx, t.job(id), t.key, &r.state)
	return r, err
}

// Pauses between two looks at a job or run: short ones first, for most end
// soon.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// poll looks until look says that it is over.
func poll(ctx context.Context, look func() (over bool, err error)) error {
	for pause := firstPause; ; pause = min(pause*3/2, lastPause) {
		if over, err := look(); over || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// follow waits for the end of a job. Whatever ends the waiting, the job goes
// on.
func (s *session) follow(ctx context.Context, t *target, id string) (*jobReport, error) {
	var r *jobReport
	var chunks, rows meter
	said := ""
	err := poll(ctx, func() (bool, error) {
		var err error
		if r, err = t.status(ctx, id); err != nil {
			return false, err
		}
		if p := r.state.Progress; p != nil {
			now := time.Now()
			chunks.see(float64(p.ChunksDone), now)
			rows.see(float64(p.RowsRead), now)
		}
		if d := r.state.Details; d != nil && *d != said && !r.state.StatusCode.Ended() && !s.env.Terminal {
			said = *d // a script's log has it once
			s.note("%s", said)
		}
		s.screen.show(jobLine(&r.state, &chunks, &rows))
		return r.state.StatusCode.Ended(), nil
	})
	s.screen.clear()
	if err != nil {
		if !client.HasCode(err, "JobNotFound") {
			s.note("the job goes on; look again with: portico job watch %s", t.Base()+t.job(id))
		}
		return nil, err
	}
	return r, nil
}

// jobLine is a job in one line.
func jobLine(st *batch.Status, chunks, rows *meter) string {
	p := st.Progress
	switch {
	case st.QueuePosition > 0:
		return fmt.Sprintf("waiting, place %d in the queue", st.QueuePosition)
	case st.Details != nil && !st.StatusCode.Ended():
		return *st.Details
	case p == nil || p.Chunks == 0 && !st.StatusCode.Ended():
		return string(st.StatusCode)
	}
	// The server knows its pace; how fast the status moves is the next best.
	rate, left := p.RecentRowsPerSecond, chunks.left(float64(p.Chunks))
	if rate == 0 {
		rate = rows.rate()
	}
	if p.SecondsLeft != nil {
		left = duration(time.Duration(*p.SecondsLeft)*time.Second) + " left"
	}
	speed, bad := "", ""
	if rate > 0 {
		speed = count(int64(rate)) + " rows/s"
	}
	if p.BadRows > 0 {
		bad = count(p.BadRows) + " bad"
	}
	done, of := float64(p.ChunksDone), float64(p.Chunks)
	if p.Rows > 0 {
		done, of = float64(p.RowsRead), float64(p.Rows)
	}
	return bar(done, of, fmt.Sprintf("%s of %s", count(p.ChunksDone), plural(p.Chunks, "chunk")), plural(p.RowsRead, "row"), bad, speed, left)
}

// jobText is a job in words.
func jobText(w io.Writer, r *jobReport) {
	st := &r.state
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("job", "%s", r.Job)
	state := string(st.StatusCode)
	if st.QueuePosition > 0 {
		state += fmt.Sprintf(", place %d in the queue", st.QueuePosition)
	}
	line("state", "%s", state)
	if st.Details != nil {
		line("reason", "%s", *st.Details)
	}
	if p := st.Progress; p != nil {
		line("rows", "%s read, %s written, %s bad", count(p.RowsRead), count(p.RowsWritten), count(p.BadRows))
		line("chunks", "%s of %s", count(p.ChunksDone), count(p.Chunks))
		if p.MissingCells > 0 || p.UnknownLevels > 0 {
			line("cells", "%s missing, %s of unknown levels", count(p.MissingCells), count(p.UnknownLevels))
		}
		if p.IgnoredColumns > 0 {
			line("ignored", "%s of the input", plural(p.IgnoredColumns, "column"))
		}
	}
	if p := st.Progress; p != nil && p.RowsPerSecond > 0 {
		line("pace", "%s rows/s", count(int64(p.RowsPerSecond)))
	}
	if p := st.Progress; p != nil && p.SecondsLeft != nil {
		line("left", "about %s", duration(time.Duration(*p.SecondsLeft)*time.Second))
	}
	if !st.StartTime.IsZero() && !st.EndTime.IsZero() {
		line("took", "%v", st.EndTime.Sub(st.StartTime).Round(time.Millisecond))
	} else {
		line("created", "%s", st.CreatedAt.Format(time.RFC3339))
	}
	for _, f := range r.Files {
		line("file", "%s", f)
	}
}
