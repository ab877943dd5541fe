package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

// call is a call that package batch made, as far as limits look at it.
type call struct {
	port   port
	method string
	// key says which blob, partition or queue: with {job} for the job,
	// {group} for the group of done rows that the chunk is in, {upper} for the
	// group above that.
	key      string
	count    int // rows read or written, messages
	up, down int64
	took     time.Duration
}

// message is what was done about one message, in order.
type message struct {
	queue string
	chunk int // of queue beschunk
	calls []call
}

// recording is a job that was run by one worker, message by message.
type recording struct {
	chunks   int
	windows  []int // of the jobs that were planned, its own first
	inBytes  int64
	outBytes int64
	rows     int64
	messages []message
}

// record runs a job of so many chunks on an embedded store in dir, by package
// batch itself, and notes each of its calls. A job in each of the other
// workspaces is planned beside it: they share the messages that may be out.
func record(ctx context.Context, dir string, chunks, workspaces int) (*recording, error) {
	inner, err := sqlite.Open(dir, sqlite.Options{Sign: func(_ context.Context, container, key, perm string, _ time.Time) (storage.SignedURL, error) {
		return storage.SignedURL{Base: "https://portico.test/", Path: container + "/" + key, Query: "?sp=" + perm}, nil
	}})
	if err != nil {
		return nil, err
	}
	defer inner.Close()
	w := &watch{}
	st := w.store(inner.Store)
	dep, err := newEcho()
	if err != nil {
		return nil, err
	}
	jobs := batch.New(batch.Config{
		Store:      &st,
		Sealer:     plain{},
		Deployment: func(context.Context, string, string) (batch.Deployment, func(), error) { return dep, func() {}, nil },
		Blobs: blob.New(blob.Config{Own: func(_ context.Context, u *url.URL, _ bool) (storage.Blobs, string, bool, error) {
			return st.Blobs, strings.TrimPrefix(u.Path, "/c/"), true, nil
		}}),
		Limits: batch.Limits{ChunkBytes: chunkRecorded},
		Log:    slog.New(slog.DiscardHandler),
	})
	text := dep.rows(int64(chunks) * chunkRecorded)
	if _, err := inner.Blobs.Put(ctx, inputKey, text, nil, storage.Condition{}); err != nil {
		return nil, err
	}
	var ids []string
	for n := range workspaces {
		ws, ep := fmt.Sprintf("%032x", n+1), fmt.Sprintf("%032x", 0xe0+n)
		id, err := jobs.Submit(ctx, batch.Submission{
			Workspace: ws, Service: fmt.Sprintf("%032x", 0x50), Endpoint: ep, Digest: strings.Repeat("3", 64),
			Body: []byte(`{"Inputs":{"input1":{"BaseLocation":"https://callers.test/","RelativeLocation":"c/` + inputKey + `","SasBlobToken":"?sp=r&sig=x"}},"GlobalParameters":{}}`),
		})
		if err != nil {
			return nil, err
		}
		if err := jobs.Start(ctx, ws, ep, id, ""); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	rec := &recording{inBytes: int64(len(text)), rows: int64(strings.Count(string(text), "\n") - 1)}
	if err := w.drain(ctx, inner.Queues, jobs, ids[0], fmt.Sprintf("%032x", 0xe0), rec); err != nil {
		return nil, err
	}
	s, err := jobs.Status(ctx, fmt.Sprintf("%032x", 1), fmt.Sprintf("%032x", 0xe0), ids[0])
	if err != nil {
		return nil, err
	}
	if s.StatusCode != batch.Finished {
		return nil, fmt.Errorf("the recorded job is %s: %v", s.StatusCode, s.Details)
	}
	return rec, nil
}

const (
	inputKey = "uploads/in.csv"
	// chunkRecorded is the size of a chunk of recorded jobs: calls do not
	// depend on it, and their bytes are in proportion.
	chunkRecorded = 16 << 10
)

// drain has one worker do all messages, and notes those of the job id. All
// plans come first: where several jobs run they share the window.
func (w *watch) drain(ctx context.Context, queues storage.Queues, jobs *batch.Batch, id, endpoint string, rec *recording) error {
	places := event.NewPlaces()
	step, chunk := jobs.JobWorker(places), jobs.ChunkWorker(places)
	handle := map[string]event.Handler{batch.JobQueue: step.Handle, batch.ChunkQueue: chunk.Handle}
	for idle := 0; idle < 2; {
		idle++
		for _, queue := range []string{batch.JobQueue, batch.ChunkQueue} {
			ms, err := queues.Receive(ctx, queue, 1, time.Hour)
			if err != nil {
				return err
			}
			if len(ms) == 0 {
				continue
			}
			idle = 0
			w.begin()
			if err := handle[queue](ctx, event.Event{Function: queue, ID: ms[0].ID, Body: ms[0].Body, DequeueCount: 1}); err != nil {
				return err
			}
			calls := w.end()
			if err := queues.Delete(ctx, queue, ms[0]); err != nil {
				return err
			}
			if n := count(calls, "queue Send "+batch.ChunkQueue); queue == batch.JobQueue && n > 0 {
				rec.windows = append(rec.windows, n)
			}
			if body := string(ms[0].Body); strings.Contains(body, id) || strings.Contains(body, endpoint) {
				rec.add(queue, body, id, calls)
			}
			if queue == batch.JobQueue {
				break // as long as there are steps to do
			}
		}
	}
	return nil
}

// add notes a message with its calls, keys made general.
func (r *recording) add(queue, body, id string, calls []call) {
	m := message{queue: queue, chunk: -1, calls: calls}
	if queue == batch.ChunkQueue {
		_, text, _ := strings.Cut(body, `"chunk":`)
		n := len(text) - len(strings.TrimLeft(text, "0123456789"))
		m.chunk, _ = strconv.Atoi(text[:n])
		r.chunks = max(r.chunks, m.chunk+1)
	}
	for i := range m.calls {
		c := &m.calls[i]
		if c.method == "PutPart" && queue == batch.ChunkQueue {
			r.outBytes += c.up
		}
		c.key = strings.ReplaceAll(c.key, id, "{job}")
		switch c.key {
		case "{job}." + strconv.Itoa(max(m.chunk, 0)/fanout):
			c.key = "{job}.{group}"
		case "{job}.g." + strconv.Itoa(max(m.chunk, 0)/fanout/fanout):
			c.key = "{job}.g.{upper}"
		}
	}
	r.messages = append(r.messages, m)
}

func count(calls []call, name string) (n int) {
	for _, c := range calls {
		if c.name() == name {
			n++
		}
	}
	return n
}

// fanout is how many done rows a group of package batch has.
const fanout = 64

// watch notes the calls of a store.
type watch struct {
	mu    sync.Mutex
	calls []call
}

func (w *watch) begin() { w.calls = nil }

func (w *watch) end() []call { return slices.Clone(w.calls) }

func (w *watch) note(began time.Time, c call) {
	c.took = time.Since(began)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
}

func (w *watch) store(inner storage.Store) storage.Store {
	return storage.Store{
		Blobs: &blobs{inner.Blobs, w}, Drop: &blobs{inner.Drop, w}, DropDone: &blobs{inner.DropDone, w},
		Tables: &tables{inner.Tables, w}, Queues: &queues{inner.Queues, w},
	}
}

type blobs struct {
	storage.Blobs
	w *watch
}

func (b *blobs) Get(ctx context.Context, key string, o storage.ReadOptions) (storage.BlobInfo, io.ReadCloser, error) {
	began := time.Now()
	info, r, err := b.Blobs.Get(ctx, key, o)
	if err != nil {
		b.w.note(began, call{port: toBlob, method: "Get", key: key})
		return info, r, err
	}
	n := info.Size - o.Offset
	if o.Length > 0 {
		n = min(n, o.Length)
	}
	return info, &reading{r, b.w, key, n, began}, nil
}

// reading notes a read when it is at its end.
type reading struct {
	io.ReadCloser
	w     *watch
	key   string
	n     int64
	began time.Time
}

func (r *reading) Close() error {
	r.w.note(r.began, call{port: toBlob, method: "Get", key: r.key, down: r.n})
	return r.ReadCloser.Close()
}

func (b *blobs) Head(ctx context.Context, key string) (storage.BlobInfo, error) {
	defer func(began time.Time) { b.w.note(began, call{port: toBlob, method: "Head", key: key}) }(time.Now())
	return b.Blobs.Head(ctx, key)
}

func (b *blobs) Put(ctx context.Context, key string, body []byte, meta map[string]string, c storage.Condition) (storage.BlobInfo, error) {
	defer func(began time.Time) {
		b.w.note(began, call{port: toBlob, method: "Put", key: key, up: int64(len(body))})
	}(time.Now())
	return b.Blobs.Put(ctx, key, body, meta, c)
}

func (b *blobs) PutPart(ctx context.Context, key string, id storage.PartID, body []byte) error {
	defer func(began time.Time) {
		b.w.note(began, call{port: toBlob, method: "PutPart", key: key, up: int64(len(body))})
	}(time.Now())
	return b.Blobs.PutPart(ctx, key, id, body)
}

func (b *blobs) Parts(ctx context.Context, key string) ([]storage.Part, error) {
	defer func(began time.Time) { b.w.note(began, call{port: toBlob, method: "Parts", key: key}) }(time.Now())
	return b.Blobs.Parts(ctx, key)
}

func (b *blobs) Commit(ctx context.Context, key string, parts []storage.PartID, meta map[string]string, c storage.Condition) (storage.BlobInfo, error) {
	defer func(began time.Time) { b.w.note(began, call{port: toBlob, method: "Commit", key: key}) }(time.Now())
	return b.Blobs.Commit(ctx, key, parts, meta, c)
}

func (b *blobs) Delete(ctx context.Context, key string, c storage.Condition) error {
	defer func(began time.Time) { b.w.note(began, call{port: toBlob, method: "Delete", key: key}) }(time.Now())
	return b.Blobs.Delete(ctx, key, c)
}

type tables struct {
	storage.Tables
	w *watch
}

func (t *tables) Get(ctx context.Context, table, partition, row string) (storage.Entity, error) {
	defer func(began time.Time) {
		t.w.note(began, call{port: toTable, method: "Get", key: partition, count: 1})
	}(time.Now())
	return t.Tables.Get(ctx, table, partition, row)
}

func (t *tables) Apply(ctx context.Context, table, partition string, ops ...storage.Op) ([]string, error) {
	defer func(began time.Time) {
		t.w.note(began, call{port: toTable, method: "Apply", key: partition, count: len(ops)})
	}(time.Now())
	return t.Tables.Apply(ctx, table, partition, ops...)
}

func (t *tables) Query(ctx context.Context, table, partition string, r storage.Range) iter.Seq2[storage.Entity, error] {
	return func(yield func(storage.Entity, error) bool) {
		n := 0
		defer func(began time.Time) {
			t.w.note(began, call{port: toTable, method: "Query", key: partition, count: max(n, 1)})
		}(time.Now())
		for e, err := range t.Tables.Query(ctx, table, partition, r) {
			n++
			if !yield(e, err) {
				return
			}
		}
	}
}

type queues struct {
	storage.Queues
	w *watch
}

// Send delays nothing: the recording is of what is called, not of when.
func (q *queues) Send(ctx context.Context, queue string, body []byte, _ time.Duration) error {
	defer func(began time.Time) {
		q.w.note(began, call{port: toQueue, method: "Send", key: queue, count: 1, up: int64(len(body))})
	}(time.Now())
	return q.Queues.Send(ctx, queue, body, 0)
}

// plain is a Sealer for jobs without secrets.
type plain struct{}

func (plain) Seal(text, _ []byte) []byte { return slices.Clone(text) }

func (plain) Open(sealed, _ []byte) ([]byte, error) { return slices.Clone(sealed), nil }

// recordIn records in a folder of its own below temp.
func recordIn(ctx context.Context, temp string, chunks, workspaces int) (*recording, error) {
	dir, err := os.MkdirTemp(temp, "portico-scale-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return record(ctx, dir, chunks, workspaces)
}
