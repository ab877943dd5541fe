package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

// tariff is a deployment without a model: charge = minutes × rate. It refuses
// negative minutes when it scores, as a module would.
type tariff struct {
	manifest *service.Manifest
	in, out  *frame.Layout
}

func newTariff(t testing.TB, whole bool) *tariff {
	t.Helper()
	in := frame.Schema{
		{Name: "id", Type: frame.String, Role: frame.ID},
		{Name: "minutes", Type: frame.Double, Nullable: true},
		{Name: "calls", Type: frame.Int32, Nullable: true, Optional: true},
	}
	out := frame.Schema{in[0], {Name: "charge", Type: frame.Double, Nullable: true}, in[2]}
	rate := "0.17"
	d := &tariff{manifest: &service.Manifest{
		Format: 1, Whole: whole,
		Inputs:     []service.Port{{Name: "input1", Schema: in}},
		Outputs:    []service.Port{{Name: "output1", Schema: out}},
		Parameters: []service.Parameter{{Name: "rate", Type: service.ParamDouble, Default: &rate}},
	}}
	var err error
	if d.in, err = frame.NewLayout(in); err != nil {
		t.Fatal(err)
	}
	if d.out, err = frame.NewLayout(out); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *tariff) Manifest() *service.Manifest { return d.manifest }
func (d *tariff) Input(int) *frame.Layout     { return d.in }
func (d *tariff) Session() Session {
	return &tariffSession{in: []*frame.Frame{d.in.New(0)}, out: []*frame.Frame{d.out.New(0)}, rate: 0.17}
}

type tariffSession struct {
	in, out []*frame.Frame
	rate    float64
	counts  scoring.Counts
}

func (s *tariffSession) Inputs() []*frame.Frame { return s.in }
func (s *tariffSession) Counts() scoring.Counts { return s.counts }
func (s *tariffSession) Release()               {}

func (s *tariffSession) SetOutside(module.Outside) {}

func (s *tariffSession) Reset() {
	s.in[0].Reset()
	s.out[0].Reset()
}

func (s *tariffSession) SetParameters(given map[string]string) error {
	for name, v := range given {
		switch name {
		case "rate":
			f, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return fault.New(fault.BadUserArgument, "UserParameterInvalid", "parameter rate is a Double").At(name)
			}
			s.rate = f
		case "password": // stands for any secret
		default:
			return fault.New(fault.BadUserArgument, "UnexpectedParameter", "there is no parameter %q", name).At(name)
		}
	}
	return nil
}

func (s *tariffSession) Execute(ctx context.Context) ([]module.Value, error) {
	out, err := s.Score(ctx)
	if err != nil {
		return nil, err
	}
	return []module.Value{module.Table(out[0])}, nil
}

func (s *tariffSession) Score(context.Context) ([]*frame.Frame, error) {
	in, out := s.in[0], s.out[0]
	s.counts = scoring.Counts{Rows: in.Rows()}
	for r := range in.Rows() {
		m := in.Cols[1].Float(r)
		if m < 0 {
			return nil, fault.New(fault.LibraryExecution, "NegativeMinutes", "minutes are negative").At("Apply Math Operation")
		}
		if math.IsNaN(m) {
			s.counts.Missing++
		}
		out.Cols[0].AppendFrom(in.Cols[0], r)
		out.Cols[1].AppendFloat(m * s.rate)
		out.Cols[2].AppendFrom(in.Cols[2], r)
	}
	return s.out, nil
}

// seal is a Sealer that is no cipher, but hides what it is given from grep.
type xorSealer struct{}

func (xorSealer) Seal(plain, ad []byte) []byte {
	out := append([]byte{byte(len(ad))}, ad...)
	for _, c := range plain {
		out = append(out, c^0xA5)
	}
	return out
}

func (xorSealer) Open(sealed, ad []byte) ([]byte, error) {
	if len(sealed) < 1+len(ad) || !bytes.Equal(sealed[1:1+len(ad)], ad) {
		return nil, fault.New(fault.Internal, "", "sealed for another place")
	}
	var out []byte
	for _, c := range sealed[1+len(ad):] {
		out = append(out, c^0xA5)
	}
	return out, nil
}

// rig is a store, the callers' own store, and the workers of one process.
type rig struct {
	t      testing.TB
	dir    string // of our store
	inner  storage.Store
	store  *faulty.Store // ours
	caller *faulty.Store // the callers'
	raw    storage.Store // the callers', without faults
	dep    Deployment
	world  Outside // of the process: nil, or a fake
	limits Limits
	usage  usage
	b      *Batch
	jobs   *event.Worker[step]
	chunks *event.Worker[work]
	log    bytes.Buffer

	current inFlight // what deliverHeld works on
}

// usage counts the ends of jobs, and those of which it was told that they scored
// before it was told that they ended.
type usage struct {
	mu     sync.Mutex
	calls  int
	last   Summary
	scored []Summary
}

func (u *usage) note(_ context.Context, s Summary) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.calls == 0 {
		u.scored = append(u.scored, s)
	}
}

func (u *usage) count(s Summary) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls++
	u.last = s
}

const (
	ws       = "11111111111111111111111111111111"
	otherWS  = "12121212121212121212121212121212"
	endpoint = "22222222222222222222222222222222"
	digest   = "3333333333333333333333333333333333333333333333333333333333333333"
	secret   = "c2VjcmV0LWFjY291bnQta2V5" // planted: must be nowhere
)

func newRig(t testing.TB) *rig {
	t.Helper()
	open := func(dir string) storage.Store {
		s, err := sqlite.Open(dir, sqlite.Options{Sign: func(_ context.Context, container, key, perm string, until time.Time) (storage.SignedURL, error) {
			return storage.SignedURL{Base: "https://portico.test/blobs/", Path: container + "/" + key, Query: "?sp=" + perm + "&sig=ours"}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s.Store
	}
	r := &rig{t: t, dir: tempDir(t), dep: newTariff(t, false)}
	r.inner, r.raw = open(r.dir), open(tempDir(t))
	r.inner.Queues = atOnce{r.inner.Queues}
	r.store, r.caller = faulty.New(r.inner), faulty.New(r.raw)
	r.restart()
	return r
}

// tempDir is a folder in memory, where the machine has such: the hundreds of
// stores of these tests die no death that a disk would have to survive.
func tempDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "portico-batch-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// atOnce makes every message visible at once: tests do not wait.
type atOnce struct{ storage.Queues }

func (q atOnce) Send(ctx context.Context, queue string, body []byte, _ time.Duration) error {
	return q.Queues.Send(ctx, queue, body, 0)
}

// restart makes the process anew: nothing in memory survives.
func (r *rig) restart() {
	limits := r.limits
	def(&limits.Handing, time.Millisecond)
	r.b = New(Config{
		Store:  &r.store.Store,
		Sealer: xorSealer{},
		Deployment: func(_ context.Context, w, d string) (Deployment, func(), error) {
			if w != ws && w != otherWS || d != digest {
				return nil, nil, fault.New(fault.NotFound, "", "no deployment %s", d)
			}
			return r.dep, func() {}, nil
		},
		Blobs: blob.New(blob.Config{Own: func(_ context.Context, u *url.URL, write bool) (storage.Blobs, string, bool, error) {
			if u.Host != "callers.test" {
				return nil, "", false, nil
			}
			if !strings.Contains(u.Query().Get("sig"), "planted") {
				return nil, "", true, fault.New(fault.Forbidden, blob.CodeDenied, "no signature")
			}
			return r.caller.Blobs, strings.TrimPrefix(u.Path, "/c/"), true, nil
		}}),
		Outside: r.world,
		Scored:  r.usage.note,
		Ended:   r.usage.count,
		Limits:  limits,
		Log:     slog.New(slog.NewTextHandler(&lockedWriter{w: &r.log}, nil)),
	})
	places := event.NewPlaces()
	r.jobs, r.chunks = r.b.JobWorker(places), r.b.ChunkWorker(places)
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// put stores a file of the caller's.
func (r *rig) put(key, body string) {
	r.t.Helper()
	if _, err := r.raw.Blobs.Put(r.t.Context(), key, []byte(body), nil, storage.Condition{}); err != nil {
		r.t.Fatal(err)
	}
}

func readAll(t testing.TB, b storage.Blobs, key string) string {
	t.Helper()
	_, rd, err := b.Get(t.Context(), key, storage.ReadOptions{})
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	defer rd.Close()
	body, err := io.ReadAll(rd)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func ref(key string) string {
	return fmt.Sprintf(`{"BaseLocation":"https://callers.test/","RelativeLocation":"c/%s","SasBlobToken":"?sp=rw&sig=planted-%s"}`, key, secret)
}

// body is a submit body from in.csv to out.csv.
func body(options string) string {
	if options == "" {
		options = "{}"
	}
	return `{"Inputs":{"input1":` + ref("in.csv") + `},"Outputs":{"output1":` + ref("out.csv") + `},"GlobalParameters":{"rate":"0.5","password":"` + secret + `"},"Options":` + options + `}`
}

func (r *rig) submission(b string) Submission {
	return Submission{Workspace: ws, Service: "44444444444444444444444444444444", ServiceName: "tariff", Endpoint: endpoint, Digest: digest, Body: []byte(b), IdempotencyKey: "k1"}
}

// submit submits and starts, as a client that repeats what failed.
func (r *rig) submit(b string) string {
	r.t.Helper()
	var id string
	r.repeat("submit", func() (err error) { id, err = r.b.Submit(r.t.Context(), r.submission(b)); return err })
	n := 0
	r.repeat("start", func() error {
		n++
		err := r.b.Start(r.t.Context(), ws, endpoint, id, "call"+strconv.Itoa(n))
		if n > 1 && fault.HasCode(err, "CannotStartJob") {
			return nil // the first call had its effect
		}
		return err
	})
	return id
}

func (r *rig) repeat(what string, call func() error) {
	r.t.Helper()
	for range 20 {
		err := call()
		if err == nil {
			return
		}
		if !fault.KindOf(err).Traits().Retry && !errors.Is(err, faulty.ErrInjected) {
			r.t.Fatalf("%s: %v", what, err)
		}
		r.revive()
	}
	r.t.Fatalf("%s does not succeed", what)
}

// revive starts the process again, if it has died.
func (r *rig) revive() {
	if r.store.Dead() || r.caller.Dead() {
		r.store.Revive()
		r.caller.Revive()
		r.restart()
	}
}

// deliver gives one message of a queue to its worker; false where there is
// none.
func (r *rig) deliver(queue string) bool {
	r.t.Helper()
	ms, err := r.inner.Queues.Receive(r.t.Context(), queue, 1, time.Minute)
	if err != nil {
		r.t.Fatal(err)
	}
	if len(ms) == 0 {
		return false
	}
	r.handle(queue, ms[0])
	return true
}

func (r *rig) handle(queue string, m storage.Message) {
	r.t.Helper()
	if err := r.run(queue, m); err != nil || r.store.Dead() || r.caller.Dead() {
		// Nobody acknowledged: the host shows the message again.
		if _, err := r.inner.Queues.Extend(r.t.Context(), queue, m, 0); err != nil {
			r.t.Fatal(err)
		}
		r.revive()
		return
	}
	if err := r.inner.Queues.Delete(r.t.Context(), queue, m); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) run(queue string, m storage.Message) error {
	e := event.Event{Function: queue, ID: m.ID, Body: m.Body, DequeueCount: m.DequeueCount}
	ctx, cancel := r.store.Alive(r.t.Context())
	defer cancel()
	ctx, cancel = r.caller.Alive(ctx)
	defer cancel()
	if queue == JobQueue {
		return r.jobs.Handle(ctx, e)
	}
	return r.chunks.Handle(ctx, e)
}

// drain delivers messages until there are none.
func (r *rig) drain() {
	r.t.Helper()
	for n := 0; ; n++ {
		if n > 20_000 {
			r.t.Fatalf("the queues do not drain:\n%s", r.log.String())
		}
		if !r.deliver(JobQueue) && !r.deliver(ChunkQueue) {
			return
		}
	}
}

func (r *rig) status(id string) *Status {
	r.t.Helper()
	s, err := r.b.Status(r.t.Context(), ws, endpoint, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func details(s *Status) string {
	if s.Details == nil {
		return ""
	}
	return *s.Details
}

// rows makes n good rows; some have quoted line ends, quotes and gaps.
func rows(n int) string {
	var sb strings.Builder
	sb.WriteString("id,minutes,calls\n")
	for i := 1; i <= n; i++ {
		switch {
		case i%7 == 0:
			fmt.Fprintf(&sb, "\"C%05d\nmoved, \"\"twice\"\"\",%d.5,%d\n", i, i, i%9)
		case i%11 == 0:
			fmt.Fprintf(&sb, "C%05d,,\r\n", i)
		default:
			fmt.Fprintf(&sb, "C%05d,%g,%d\n", i, float64(i)/10, i%9)
		}
	}
	return sb.String()
}

// noSecret fails where a planted secret is in any byte that the store holds:
// blobs, rows and messages, or in the log.
func (r *rig) noSecret() {
	r.t.Helper()
	if strings.Contains(r.log.String(), secret) {
		r.t.Errorf("the log holds a secret:\n%s", r.log.String())
	}
	files := 0
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // the store's own business
		}
		files++
		if bytes.Contains(b, []byte(secret)) {
			r.t.Errorf("file %s of the store holds a secret", path)
		}
		return err
	})
	if err != nil || files == 0 {
		r.t.Errorf("%d files read: %v", files, err)
	}
}
