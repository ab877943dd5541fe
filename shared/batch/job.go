package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/storage"
)

// State is where a job stands. The names are stored.
type State string

const (
	NotStarted State = "NotStarted" // submitted
	Waiting    State = "Waiting"    // started, no slot yet; shown as NotStarted
	Planning   State = "Planning"   // has a slot; shown as Running
	Running    State = "Running"    // planned, chunks are out
	Committing State = "Committing" // the point of no return; shown as Running
	Finished   State = "Finished"
	Failed     State = "Failed"
	Cancelled  State = "Cancelled"
)

var states = []State{NotStarted, Waiting, Planning, Running, Committing, Finished, Failed, Cancelled}

// Ended reports whether s is final.
func (s State) Ended() bool { return s == Finished || s == Failed || s == Cancelled }

// revocable reports whether DELETE or a failure can still end the job: from
// Committing on, only the delivery can.
func (s State) revocable() bool { return !s.Ended() && s != Committing }

// Classic is the state as clients know it.
func (s State) Classic() State {
	switch s {
	case Waiting:
		return NotStarted
	case Planning, Committing:
		return Running
	}
	return s
}

// job is a job's row. Everything a step needs is in it; it is written by
// conditional replacement alone.
type job struct {
	ID          string `json:"-"`
	Workspace   string `json:"ws"`
	Service     string `json:"service"`
	ServiceName string `json:"serviceName,omitempty"`
	Endpoint    string `json:"endpoint"`
	// Digest is the deployment the job was pinned to when it was submitted.
	Digest string `json:"digest"`
	State  State  `json:"-"`

	Created time.Time `json:"created"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Moved   time.Time `json:"moved,omitzero"` // the last change of state
	// Invocation is the host's id of the call that started the job: the host
	// repeats an empty POST after a crash, with the same id.
	Invocation string `json:"invocation,omitempty"`
	// Request, of a job with an Idempotency-Key, is a digest of what was asked,
	// to tell a repeated key from a reused one.
	Request string `json:"request,omitempty"`

	Inputs  []source `json:"inputs,omitempty"`
	Outputs []sink   `json:"outputs,omitempty"`
	Options Options  `json:"options"`
	// Drop is the path of the dropped file that made this job; "" for others.
	Drop string `json:"drop,omitempty"`

	// Whole says that the job cannot be split, and Epoch which holder of its
	// lease may write.
	Whole bool  `json:"whole,omitempty"`
	Epoch int64 `json:"epoch,omitempty"`

	// Plan is the first 16 digits of the plan's digest, from Running on.
	Plan     string `json:"plan,omitempty"`
	Chunks   int    `json:"chunks,omitempty"`
	Segments []int  `json:"segments,omitempty"` // first chunk of each segment
	Window   int    `json:"window,omitempty"`
	// Ran is when it became Running, Rows and Bytes what its input has; the
	// rows of a whole job are not counted beforehand.
	Ran   time.Time `json:"ran,omitzero"`
	Rows  int64     `json:"rows,omitempty"`
	Bytes int64     `json:"bytes,omitempty"`
	// Ignored counts columns of the inputs that the service does not know.
	Ignored int `json:"ignored,omitempty"`

	// Exports are the nodes whose modules write outside, in the order in which
	// they did; set on the way to Committing.
	Exports []string `json:"exports,omitempty"`

	// Totals are set on the way to Committing.
	Totals *totals `json:"totals,omitempty"`
	// Failure is why the job failed or was cancelled.
	Failure *failure `json:"failure,omitempty"`

	// Expired says that its results were kept long enough.
	Expired bool `json:"expired,omitempty"`

	// sealed holds, while the job lives, what the caller must not find in any
	// store in the clear (see secrets), and once it is Finished the read links
	// of the outputs the caller placed.
	sealed []byte
	etag   string
}

// source is an input: exactly one of Key, Drop and Place says where it is, but
// that Key may be a copy of the others.
type source struct {
	Name   string `json:"name"`
	Format string `json:"format"` // of what the job reads: csv, parquet, …
	// NoHeader says that a file of separated values begins with its first record.
	NoHeader bool   `json:"noHeader,omitempty"`
	Key      string `json:"key,omitempty"`  // a snapshot of ours
	Drop     string `json:"drop,omitempty"` // a key in container drop
	// Place is the caller's blob without its secrets, which are sealed.
	Place *place `json:"place,omitempty"`
	// Outside is the kind of the place of which Key is to be a snapshot: it is
	// made before the job is planned.
	Outside connect.Kind `json:"outside,omitempty"`
	// Packed is how Drop or Place is compressed, of which Key is to be the
	// content: that, too, is made before the job is planned.
	Packed format.Compression `json:"packed,omitempty"`
	// ETag, where set, is the only version of the blob that is meant.
	ETag string `json:"etag,omitempty"`
}

// sink is an output. Without a Place the result stays with us.
type sink struct {
	Name     string `json:"name"`
	Format   string `json:"format"` // of the file: csv, jsonl.gz, …
	NoHeader bool   `json:"noHeader,omitempty"`
	Place    *place `json:"place,omitempty"`
	// Keep says that a blob that is there is not to be written over.
	Keep bool `json:"keep,omitempty"`
	// Outside is the kind of a Place that is no blob.
	Outside connect.Kind `json:"outside,omitempty"`
}

// place is a blob reference as far as it may be seen.
type place struct {
	Base string `json:"base,omitempty"`
	Path string `json:"path"`
}

// totals are the sums of the done rows.
type totals struct {
	Chunks  int   `json:"chunks"`
	RowsIn  int64 `json:"rowsIn"`
	RowsOut int64 `json:"rowsOut"`
	Bad     int64 `json:"bad"`
	BytesIn int64 `json:"bytesIn"`
	// Missing and Unknown are what scoring counted: missing cells in columns a
	// model reads, and cells outside their column's levels.
	Missing int64 `json:"missing,omitempty"`
	Unknown int64 `json:"unknown,omitempty"`
	// First is the first bad row.
	First *firstBad `json:"first,omitempty"`
	// Bytes are the sizes of the staged files: outputs in order, then the
	// error file; headers not counted.
	Bytes []int64 `json:"bytes,omitempty"`
	// Parts, for a whole job, are the sizes of the parts of each file.
	Parts [][]int64 `json:"parts,omitempty"`
}

func (t *totals) add(u totals) {
	t.Chunks += u.Chunks
	t.RowsIn += u.RowsIn
	t.RowsOut += u.RowsOut
	t.Bad += u.Bad
	t.BytesIn += u.BytesIn
	t.Missing += u.Missing
	t.Unknown += u.Unknown
	if t.First == nil || u.First != nil && u.First.Row < t.First.Row {
		t.First = u.First
	}
	for i, n := range u.Bytes {
		if i == len(t.Bytes) {
			t.Bytes = append(t.Bytes, 0)
		}
		t.Bytes[i] += n
	}
}

// firstBad is a bad row as the failure of a job names it. It is never changed.
type firstBad struct {
	Row int64  `json:"row"`
	Why string `json:"why"`
}

// failure is an error in a row.
type failure struct {
	Kind   string `json:"kind"`
	Code   string `json:"code,omitempty"`
	Target string `json:"target,omitempty"`
	Msg    string `json:"msg"`
}

// failureOf is err as a caller may read it. The text of a fault of ours stays
// in the log.
func failureOf(err error) *failure {
	e := fault.Of(err)
	d := e.Details()[0]
	return &failure{Kind: e.Kind.String(), Code: d.Code, Target: d.Target, Msg: d.Message}
}

// String is the status's Details: code and message, as the old service wrote
// them, and what it is about where the message does not say so.
func (f *failure) String() string {
	text := f.Msg
	if f.Code != "" && !strings.HasPrefix(text, "Error ") { // a module's message begins with its number
		text = f.Code + ": " + text
	}
	if f.Target != "" && !strings.Contains(text, f.Target) {
		text += " (" + f.Target + ")"
	}
	return text
}

func (j *job) props() (storage.Props, error) {
	doc, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("encode job: %w", err)
	}
	if len(doc) > storage.MaxPropertyBlob || len(j.sealed) > storage.MaxPropertyBlob {
		return nil, fault.New(fault.TooLarge, "", "the job's description takes %d bytes, its references and parameters %d: the limit of each is %d",
			len(doc), len(j.sealed), storage.MaxPropertyBlob)
	}
	p := storage.Props{"state": string(j.State), "doc": doc}
	if len(j.sealed) > 0 {
		p["sealed"] = j.sealed
	}
	return p, nil
}

// load reads a job; fault.NotFound where there is none.
func (b *Batch) load(ctx context.Context, id string) (*job, error) {
	e, err := b.store.Tables.Get(ctx, table, id, jobRow)
	if err != nil {
		return nil, err
	}
	j := &job{ID: id, State: State(e.Props.Str("state")), sealed: e.Props.Bytes("sealed"), etag: e.ETag}
	if err := json.Unmarshal(e.Props.Bytes("doc"), j); err != nil {
		return nil, fmt.Errorf("decode job %s: %w", id, err)
	}
	return j, nil
}

// insert adds a job's row; CodeExists where it is there.
func (b *Batch) insert(ctx context.Context, j *job) error {
	p, err := j.props()
	if err != nil {
		return err
	}
	_, err = b.store.Tables.Apply(ctx, table, j.ID, storage.Op{Kind: storage.Insert, Row: jobRow, Props: p})
	return err
}

// change rewrites a job's row by one conditional write, and again from what
// it then finds where another was faster. edit says whether there is anything
// to do; it may be called several times. moved reports whether the row was
// written by this call; j is the job as it stands.
//
// A write that failed may have happened: callers report the failure and are
// repeated, and edit then finds the new state.
func (b *Batch) change(ctx context.Context, id string, edit func(j *job) bool, with ...storage.Op) (j *job, moved bool, err error) {
	for {
		if j, err = b.load(ctx, id); err != nil {
			return nil, false, err
		}
		before := j.State
		if !edit(j) {
			return j, false, nil
		}
		if j.State != before {
			j.Moved = now()
		}
		p, err := j.props()
		if err != nil {
			return nil, false, err
		}
		ops := append([]storage.Op{{Kind: storage.Replace, Row: jobRow, IfMatch: j.etag, Props: p}}, with...)
		etags, err := b.store.Tables.Apply(ctx, table, id, ops...)
		switch {
		case err == nil:
			j.etag = etags[0]
			if j.State != before {
				b.log.InfoContext(ctx, "job moved", "job", id, "workspace", j.Workspace, "endpoint", j.Endpoint, "from", string(before), "to", string(j.State))
			}
			return j, true, nil
		case fault.HasCode(err, storage.CodeCondition) && len(with) == 0:
			if err := ctx.Err(); err != nil {
				return nil, false, fault.Wrap(err, fault.Canceled, "change job")
			}
		default:
			return nil, false, err
		}
	}
}

// fail ends a job that can still be ended. It is how every permanent failure
// of a step becomes the job's own.
func (b *Batch) fail(ctx context.Context, id string, cause error) error {
	return b.endBadly(ctx, id, cause, State.revocable)
}

func (b *Batch) endBadly(ctx context.Context, id string, cause error, from func(State) bool) error {
	j, moved, err := b.change(ctx, id, func(j *job) bool {
		if !from(j.State) {
			return false
		}
		j.end(Failed, failureOf(cause))
		return true
	})
	if err != nil {
		return err
	}
	if moved {
		b.log.Log(ctx, fault.KindOf(cause).Traits().Level, "job failed", "job", id, "kind", j.Failure.Kind, "code", j.Failure.Code)
		b.count(j)
	}
	return b.tidy(ctx, j)
}

// end makes the edit of a last transition: secrets go in the same write.
func (j *job) end(s State, f *failure) {
	j.State, j.Failure, j.Ended, j.sealed = s, f, now(), nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// absent turns a NotFound into false.
func absent(err error) (bool, error) {
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	return false, err
}
