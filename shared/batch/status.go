package batch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/connect/blob"
)

// Status is a job's status document: the classic members first, then members
// that classic clients do not read.
type Status struct {
	StatusCode State                `json:"StatusCode"`
	Results    map[string]Reference `json:"Results"`
	Details    *string              `json:"Details"`

	CreatedAt     time.Time  `json:"CreatedAt"`
	StartTime     time.Time  `json:"StartTime,omitzero"`
	EndTime       time.Time  `json:"EndTime,omitzero"`
	QueuePosition int        `json:"QueuePosition,omitempty"` // 1 is next; only of a job that waits
	Progress      *Progress  `json:"Progress,omitempty"`
	ErrorFile     *Reference `json:"ErrorFile,omitempty"` // the rows that were bad, and why
	Deployment    string     `json:"Deployment"`
}

// Progress is how far a job is, or came.
type Progress struct {
	Chunks         int   `json:"Chunks"`
	ChunksDone     int   `json:"ChunksDone"`
	BytesDone      int64 `json:"BytesDone"`
	RowsRead       int64 `json:"RowsRead"`
	RowsWritten    int64 `json:"RowsWritten"`
	BadRows        int64 `json:"BadRows"`
	MissingCells   int64 `json:"MissingCells"`
	UnknownLevels  int64 `json:"UnknownLevels"`
	IgnoredColumns int   `json:"IgnoredColumns,omitempty"`
	Pace
}

// Reference is a blob reference in a status: the address is the three parts
// one after the other.
type Reference struct {
	ConnectionString *string `json:"ConnectionString"` // always null
	RelativeLocation string  `json:"RelativeLocation"`
	BaseLocation     string  `json:"BaseLocation"`
	SasBlobToken     *string `json:"SasBlobToken"`
}

func shown(r blob.Reference) Reference {
	s := Reference{RelativeLocation: r.RelativeLocation, BaseLocation: r.BaseLocation}
	if r.SasBlobToken != "" {
		s.SasBlobToken = &r.SasBlobToken
	}
	return s
}

// Status returns the status of a job of this endpoint.
func (b *Batch) Status(ctx context.Context, ws, endpoint, id string) (*Status, error) {
	j, err := b.find(ctx, ws, endpoint, id)
	if err != nil {
		return nil, err
	}
	s := &Status{StatusCode: j.State.Classic(), CreatedAt: j.Created, StartTime: j.Started, EndTime: j.Ended, Deployment: j.Digest}
	if j.Failure != nil {
		text := j.Failure.String()
		s.Details = &text
	}
	waits, err := b.waitsFor(ctx, j)
	if err != nil {
		return nil, err
	}
	if waits != "" {
		s.Details = &waits
	}
	switch j.State {
	case Waiting:
		s.QueuePosition, err = b.position(ctx, j)
	case Running, Committing, Finished:
		s.Progress, err = b.progress(ctx, j)
	case Failed, Cancelled:
		if !j.Ran.IsZero() && !j.Expired { // what was done is deleted with the rest
			s.Progress, err = b.progress(ctx, j)
		}
	}
	if err == nil && j.State == Finished {
		err = b.results(ctx, j, s)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// position is the place of a waiting job in its queue. 0 where it has just
// left it, or stands behind more than anybody counts.
func (b *Batch) position(ctx context.Context, j *job) (int, error) {
	q, err := b.queue(ctx, j.Workspace, j.Endpoint)
	if err != nil {
		return 0, err
	}
	for i, w := range q.waits {
		if w.Props.Str("job") == j.ID {
			return i + 1, nil
		}
	}
	return 0, nil
}

func (b *Batch) results(ctx context.Context, j *job, s *Status) error {
	var placed links
	if err := b.unseal(j, &placed); err != nil {
		return err
	}
	s.Results = make(map[string]Reference, len(j.Outputs))
	files := b.files(j)
	for i, o := range j.Outputs {
		ref, ok := placed[o.Name]
		if !ok && j.Expired {
			continue
		}
		if !ok {
			var err error
			if ref, err = b.link(ctx, files[i]); err != nil {
				return err
			}
		}
		s.Results[o.Name] = shown(ref)
	}
	if j.Expired && s.Details == nil {
		text := fmt.Sprintf("What the service kept of this job was deleted %d days after its end.", b.lim.ResultDays)
		s.Details = &text
	}
	if j.Totals != nil && j.Totals.Bad > 0 && !j.Expired {
		ref, err := b.link(ctx, files[len(j.Outputs)])
		if err != nil {
			return err
		}
		r := shown(ref)
		s.ErrorFile = &r
	}
	return nil
}

// link is a fresh link to a file of ours.
func (b *Batch) link(ctx context.Context, f file) (blob.Reference, error) {
	u, err := b.store.Blobs.SignRead(ctx, f.Key, now().Add(b.lim.LinkTTL))
	return blob.Reference{BaseLocation: u.Base, RelativeLocation: u.Path, SasBlobToken: u.Query}, err
}

// progress sums what is done. Totals are final from Committing on.
func (b *Batch) progress(ctx context.Context, j *job) (*Progress, error) {
	sum, at := &sums{}, now()
	if j.Totals != nil {
		sum.totals, at = *j.Totals, j.Moved
	} else {
		var err error
		if sum, err = b.sumDone(ctx, j); err != nil {
			return nil, err
		}
		if j.State.Ended() {
			at = j.Ended
		}
	}
	p := &Progress{
		Chunks: j.Chunks, ChunksDone: sum.Chunks, BytesDone: sum.BytesIn, RowsRead: sum.RowsIn, RowsWritten: sum.RowsOut,
		BadRows: sum.Bad, MissingCells: sum.Missing, UnknownLevels: sum.Unknown, IgnoredColumns: j.Ignored,
		Pace: paceOf(j, sum, at),
	}
	if j.Whole {
		p.Chunks = 1
	}
	return p, nil
}

// sums are what the done rows of a job come to.
type sums struct {
	totals
	recent float64 // rows of the last paceSpan
}

func (b *Batch) sumDone(ctx context.Context, j *job) (*sums, error) {
	if s := b.status.get(j.ID); s != nil {
		return s, nil
	}
	var all []done
	closed, err := b.walk(ctx, j, func(_, _ int, rows map[int]done) error {
		all = slices.AppendSeq(all, maps.Values(rows))
		return nil
	})
	if err != nil {
		return nil, err
	}
	s := &sums{}
	at := now()
	for _, d := range append(all, closed...) {
		s.add(d.totals)
		s.recent += d.since(at.Add(-paceSpan))
	}
	b.status.put(j.ID, s)
	return s, nil
}

// statusCache keeps the sums of running jobs for a second: clients poll, and
// many poll the same job.
type statusCache struct {
	mu   sync.Mutex
	sums map[string]cachedSum
}

type cachedSum struct {
	s  *sums
	at time.Time
}

const (
	statusTTL     = time.Second
	cachedSumsMax = 1000
)

func (c *statusCache) get(id string) *sums {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.sums[id]; ok && time.Since(s.at) < statusTTL {
		return s.s
	}
	return nil
}

func (c *statusCache) put(id string, s *sums) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sums == nil || len(c.sums) >= cachedSumsMax {
		c.sums = make(map[string]cachedSum)
	}
	c.sums[id] = cachedSum{s, time.Now()}
}
