// Package garbage collects what nothing refers to any more, and says
// beforehand what that is.
//
// An artifact is referred to by rows that several packages own: each is a
// Source. Whoever makes such a row touches the artifact first (artifact.Put and
// Touch), which changes its ETag and its time, and writes the row within an
// hour. So an artifact is collected in two rounds: one marks what no source
// names and nobody has touched for Grace; a later one, at least Wait after it,
// asks the sources again and deletes on condition of the ETag that was marked.
// Whatever is referred to at any moment between has been touched, and stays.
//
// Every step may be lost, repeated, or done twice at once.
package garbage

import (
	"context"
	"encoding/hex"
	"fmt"
	"path"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// A Source calls keep with the digest of every artifact that it refers to in a
// workspace. It may name one several times.
type Source func(ctx context.Context, ws string, keep func(digest string)) error

// Item is something that is or would be collected.
type Item struct {
	Name  string    `json:"name"` // of the blob or the row
	Bytes int64     `json:"bytes"`
	Since time.Time `json:"since"` // it was last touched, or ended
}

// A Collector collects one kind of garbage in one part of a workspace: what
// begins with the hex digit part. With dry set it changes nothing and tells
// found all that would go, sooner or later; else what has gone.
type Collector func(ctx context.Context, ws, part string, dry bool, found func(Item)) error

// Config is what Artifacts work with.
type Config struct {
	Store   *storage.Store
	Sources []Source
	Grace   time.Duration // since it was last touched: 7 days
	Wait    time.Duration // between the rounds that mark and delete: 24 h
	Now     func() time.Time
}

// Artifacts are the artifacts of a store.
type Artifacts struct {
	Config

	mu    sync.Mutex
	roots *roots // of the workspace that steps are at
}

// NewArtifacts returns the artifacts of c.Store.
func NewArtifacts(c Config) *Artifacts {
	if c.Grace <= 0 {
		c.Grace = 7 * 24 * time.Hour
	}
	if c.Wait <= 0 {
		c.Wait = 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Artifacts{Config: c}
}

// Marks are in table "garbage": partition {ws}.{first digit}, row {digest}:
// the ETag that was found, and when. A round reads the partition beside the
// blobs of the same digit.
const table = "garbage"

func partition(ws, part string) string { return ws + "." + part }

// Collect is the Collector of artifacts.
func (a *Artifacts) Collect(ctx context.Context, ws, part string, dry bool, found func(Item)) error {
	age := rootsAge
	if dry {
		age = lookAge
	}
	known, err := a.known(ctx, ws, age)
	if err != nil {
		return err
	}
	marks := make(map[string]storage.Entity)
	for e, err := range a.Store.Tables.Query(ctx, table, partition(ws, part), storage.Range{}) {
		if err != nil {
			return err
		}
		marks[e.Row] = e
	}
	for info, err := range a.Store.Blobs.List(ctx, ws+"/sha256/"+part) {
		if err != nil {
			return err
		}
		digest := path.Base(info.Key)
		if a.Now().Sub(info.Modified) < a.Grace || known.has(digest) {
			continue // a mark that it may have goes below
		}
		item := Item{Name: digest, Bytes: info.Size, Since: info.Modified}
		if dry {
			found(item)
			continue
		}
		mark, marked := marks[digest]
		delete(marks, digest)
		switch {
		case !marked || mark.Props.Str("etag") != info.ETag:
			err = a.mark(ctx, ws, part, digest, info.ETag)
		case a.Now().Sub(mark.Props.Time("at")) >= a.Wait:
			err = a.remove(ctx, info, mark, func() { found(item) })
		}
		if err != nil {
			return err
		}
	}
	if dry {
		return nil
	}
	// What is left is in use again, or gone.
	for _, mark := range marks {
		if err := a.unmark(ctx, mark); err != nil {
			return err
		}
	}
	return nil
}

func (a *Artifacts) mark(ctx context.Context, ws, part, digest, etag string) error {
	_, err := a.Store.Tables.Apply(ctx, table, partition(ws, part),
		storage.Op{Kind: storage.Upsert, Row: digest, Props: storage.Props{"etag": etag, "at": a.Now()}})
	return err
}

func (a *Artifacts) unmark(ctx context.Context, mark storage.Entity) error {
	_, err := a.Store.Tables.Apply(ctx, table, mark.Partition, storage.Op{Kind: storage.Delete, Row: mark.Row, IfMatch: mark.ETag})
	return unless(err, fault.NotFound, fault.Conflict)
}

// remove deletes an artifact that is as it was marked.
func (a *Artifacts) remove(ctx context.Context, info storage.BlobInfo, mark storage.Entity, done func()) error {
	err := a.Store.Blobs.Delete(ctx, info.Key, storage.Condition{IfMatch: info.ETag})
	if err == nil {
		done()
	}
	if err = unless(err, fault.NotFound, fault.Conflict); err != nil {
		return err
	}
	return a.unmark(ctx, mark)
}

// unless is err, but for errors of some kinds: another was faster.
func unless(err error, kinds ...fault.Kind) error {
	for _, k := range kinds {
		if fault.Is(err, k) {
			return nil
		}
	}
	return err
}

// roots are the artifacts of a workspace that are referred to.
type roots struct {
	ws  string
	at  time.Time
	set map[[32]byte]struct{}
}

// rootsAge bounds how long the steps of a round use what the sources said. It
// adds to the hour that a writer may take between its touch and its row, and
// is far below any grace.
const rootsAge = 15 * time.Minute

// lookAge is the same for a report, of which people expect that it is fresh.
const lookAge = 10 * time.Second

func (r *roots) has(digest string) bool {
	key, ok := digestKey(digest)
	_, known := r.set[key]
	return known || !ok // a blob with another name is nobody's to delete
}

func digestKey(digest string) (key [32]byte, ok bool) {
	if len(digest) != 2*len(key) {
		return key, false
	}
	_, err := hex.Decode(key[:], []byte(digest))
	return key, err == nil
}

// known is what the sources said, at most age ago.
func (a *Artifacts) known(ctx context.Context, ws string, age time.Duration) (*roots, error) {
	a.mu.Lock()
	last := a.roots
	a.mu.Unlock()
	if last != nil && last.ws == ws && a.Now().Sub(last.at) < age {
		return last, nil
	}
	r := &roots{ws: ws, at: a.Now(), set: make(map[[32]byte]struct{})}
	for i, source := range a.Sources {
		err := source(ctx, ws, func(digest string) {
			if key, ok := digestKey(digest); ok {
				r.set[key] = struct{}{}
			}
		})
		if err != nil {
			return nil, fmt.Errorf("source %d of workspace %s: %w", i+1, ws, err)
		}
	}
	a.mu.Lock()
	a.roots = r
	a.mu.Unlock()
	return r, nil
}
