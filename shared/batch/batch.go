// Package batch runs BES jobs: it splits a job into chunks, has any number of
// processes score them, and writes each output once, whole or not at all.
//
// Everything here may be lost at any instant and repeated at any time. State
// is one row per job, changed by conditional writes only; every other effect
// is an insert, a write of the same bytes under the same name, or a message
// that may come twice. README.md draws the states and says what each message
// does.
package batch

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Queues of this package; a queue has the name of the function it triggers.
const (
	JobQueue   = "besjob"
	ChunkQueue = "beschunk"
)

// Limits bound jobs. The zero value of a field means the default beside it.
type Limits struct {
	Slots           int           // jobs of an endpoint at once: 40
	Window          int           // messages a job has out: 256
	WorkspaceWindow int           // messages the jobs of a workspace have out: 1,024
	ChunkBytes      int64         // of input in a chunk: 8 MiB; more where the input is huge
	MaxChunkBytes   int64         // most a chunk grows to: 64 MiB
	MaxChunks       int           // 45,000: parts of a blob are at most 50,000
	RecordBytes     int           // longest record: 4 MiB; a longer one is a row error
	WholeBytes      int64         // input of a job that cannot be split: 512 MiB
	GroupBytes      int64         // row group of a Parquet input, and what a process holds of them at once: 256 MiB
	UnpackedBytes   int64         // compressed input, when it is decompressed: 64 GiB
	ResultDays      int           // life of the read link of an output the caller placed: 7
	DropDays        int           // a dropped file and its answers are kept after these: 30
	RecordDays      int           // the status of a job can be asked for after its end: 90
	LinkTTL         time.Duration // life of a link to a result of ours, fresh per status call: 24 h
	StartWithin     time.Duration // of a submitted job: 24 h
	Stuck           time.Duration // without progress, after which sweep sends again: 12 min
	Handing         time.Duration // from a slot to a plan, after which another admit goes on: 5 s
	PlanSlice       time.Duration // of planning in one message: 45 s
	Lease           time.Duration // of a whole job, renewed meanwhile: 2 min
	Patience        time.Duration // with a place outside that does not answer: 24 h
	Look            time.Duration // how often a long step looks whether its job was cancelled: 2 s
}

func (l Limits) withDefaults() Limits {
	def(&l.Slots, 40)
	def(&l.Window, 256)
	def(&l.WorkspaceWindow, 1024)
	def(&l.ChunkBytes, 8<<20)
	def(&l.MaxChunkBytes, 64<<20)
	def(&l.MaxChunks, 45_000)
	def(&l.RecordBytes, 4<<20)
	def(&l.WholeBytes, 512<<20)
	def(&l.GroupBytes, 256<<20)
	def(&l.UnpackedBytes, 64<<30)
	def(&l.ResultDays, 7)
	def(&l.DropDays, 30)
	def(&l.RecordDays, 90)
	def(&l.LinkTTL, 24*time.Hour)
	def(&l.StartWithin, 24*time.Hour)
	def(&l.Stuck, 12*time.Minute)
	def(&l.Handing, 5*time.Second)
	def(&l.PlanSlice, 45*time.Second)
	def(&l.Lease, 2*time.Minute)
	def(&l.Patience, 24*time.Hour)
	def(&l.Look, 2*time.Second)
	return l
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Deployment is what a job is scored by; Scored makes one of a
// *scoring.Deployment.
type Deployment interface {
	Manifest() *service.Manifest
	Input(i int) *frame.Layout
	Session() Session
}

// Session is the working memory of one scorer; see scoring.Session.
type Session interface {
	Inputs() []*frame.Frame
	SetParameters(given map[string]string) error
	Score(ctx context.Context) ([]*frame.Frame, error)
	Execute(ctx context.Context) ([]module.Value, error)
	Counts() scoring.Counts
	SetOutside(module.Outside)
	Reset()
	Release()
}

// Outside opens places of a workspace: *outside.Outside.
type Outside interface {
	Source(ws string, p connect.Place) (connect.Source, error)
	Sink(ws string, p connect.Place) (connect.Sink, error)
	For(ws, delivery string) module.Outside
}

// Sealer closes what only the program may read; ad says where it is kept, and
// opens it. auth.Ring is one.
type Sealer interface {
	Seal(plaintext, ad []byte) []byte
	Open(sealed, ad []byte) ([]byte, error)
}

// Config is what a Batch works with.
type Config struct {
	Store *storage.Store
	// Deployment gives the deployment of a digest and what releases it.
	Deployment func(ctx context.Context, ws, digest string) (Deployment, func(), error)
	Sealer     Sealer
	// Blobs opens the blobs that callers name.
	Blobs *blob.Connector
	// Outside opens the other places that callers name, and is what modules of
	// a deployment reach the world by; nil where jobs have neither.
	Outside Outside
	// Scored, where set, is told of each job whose output is delivered, before
	// its status says so: once, or again where the step is.
	Scored func(context.Context, Summary)
	// Ended, where set, is told of each job that finished or failed: once, or
	// not at all where the process died over it.
	Ended  func(Summary)
	Limits Limits
	Log    *slog.Logger
}

// Summary is what a job came to.
type Summary struct {
	Workspace, Service, Endpoint, Digest string
	Failed                               bool
	Rows, Bad                            int64
	MissingCells, UnknownLevels          int64
}

// Batch is the jobs of a store. It is safe for concurrent use.
type Batch struct {
	Config
	store *storage.Store
	lim   Limits
	log   *slog.Logger

	whole      *semaphore.Weighted // one whole job per process
	groups     *semaphore.Weighted // bytes of row groups in memory
	scans      *semaphore.Weighted // planners that read ahead
	scorers    *semaphore.Weighted // chunks that are scored, not read or stored
	copying    abroad              // steps that read outside
	delivering abroad              // and that write there
	segments   segmentCache
	buffers    sync.Pool // *buffer
	status     statusCache
	listed     sync.Map // endpoints that are noted as having jobs
}

// New returns the jobs of c.Store.
func New(c Config) *Batch {
	lim := c.Limits.withDefaults()
	return &Batch{
		Config: c, store: c.Store, lim: lim, log: c.Log,
		whole: semaphore.NewWeighted(1), groups: semaphore.NewWeighted(lim.GroupBytes), scans: semaphore.NewWeighted(readers),
		scorers: semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))),
	}
}

// Scored adapts a deployment of package scoring.
func Scored(d *scoring.Deployment) Deployment { return scored{d} }

type scored struct{ d *scoring.Deployment }

func (s scored) Manifest() *service.Manifest { return s.d.Manifest }
func (s scored) Input(i int) *frame.Layout   { return s.d.Input(i) }
func (s scored) Session() Session            { return session{s.d.Session()} }

type session struct{ *scoring.Session }

func (s session) Inputs() []*frame.Frame { return s.Session.Inputs }
func (s session) Counts() scoring.Counts { return s.Session.Counts }

func (s session) SetOutside(o module.Outside) { s.Session.Outside = o }
