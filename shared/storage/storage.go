// Package storage holds the three ports behind which all state lives: blobs,
// tables and queues.
//
// The contracts here are the narrower of what Azure Storage and the embedded
// store can do, and both drivers refuse what the narrower refuses (see
// Limits). What every driver must pass is package storagetest.
//
// Errors are *fault.Error: absence is fault.NotFound; a failed condition is
// fault.Conflict with code CodeCondition; a write with IfAbsent, or an insert,
// of what exists is fault.Conflict with code CodeExists; an outage is
// fault.Unavailable; stored bytes that are not those that were written are
// fault.Damaged; a request outside the limits is fault.BadArgument with
// code CodeLimit, before anything is done. Retries of passing transport faults
// are the driver's own affair. Every method is safe for concurrent use, and
// when one returns nil its effect is durable; when one returns another error,
// its effect may or may not have happened.
package storage

import (
	"context"
	"encoding/hex"
	"io"
	"iter"
	"time"
)

// Codes of fault.Conflict errors of this package.
const (
	CodeCondition = "ConditionNotMet"
	CodeExists    = "AlreadyExists"
)

// Limits both drivers enforce.
const (
	MaxApplyOps     = 100
	MaxApplyBytes   = 4 << 20  // of one Apply as it is sent
	MaxEntityBytes  = 1 << 20  // of one entity, as Azure counts: UTF-16, names included
	MaxProperties   = 252      // of one entity
	MaxPropertyText = 32_000   // UTF-16 units of one string property
	MaxPropertyBlob = 64 << 10 // bytes of one []byte property
	MaxMessageBytes = 48 << 10 // of one message, before base64
	MaxParts        = 50_000
	MaxPartBytes    = 100 << 20
	MaxPutBytes     = 256 << 20
	MaxMetaBytes    = 8 << 10            // names and values together
	MaxDelay        = 7 * 24 * time.Hour // of a message, and of a visibility
	MaxSigned       = 7 * 24 * time.Hour // life of a signed URL
)

// AnyETag as an IfMatch condition asks for existence alone.
const AnyETag = "*"

// Condition guards a write. The zero value is unconditional.
type Condition struct {
	IfMatch  string // the write happens only while the ETag is this (AnyETag: only if present)
	IfAbsent bool   // the write happens only while nothing is there
}

// BlobInfo describes a blob.
type BlobInfo struct {
	Key      string
	ETag     string
	Size     int64
	Modified time.Time
	// Meta holds the blob's metadata; keys are [a-z_][a-z0-9_]*, values are
	// printable ASCII without space at either end.
	Meta map[string]string
}

// PartID names a part of a blob under construction. Parts are opaque: their
// order is the order in which Commit names them.
type PartID [16]byte

func (p PartID) String() string { return hex.EncodeToString(p[:]) }

// Part is a staged, uncommitted part.
type Part struct {
	ID   PartID
	Size int64
}

// ReadOptions selects what Get reads. The zero value reads everything.
type ReadOptions struct {
	Offset  int64
	Length  int64  // 0 = to the end
	IfMatch string // refuse (CodeCondition) unless the ETag is this
}

// Blobs stores byte strings under keys of /-separated segments
// [A-Za-z0-9._-]{1,256} that do not end with a dot, at most 1,024 bytes in all.
//
// A blob that is not there is fault.NotFound, and CodeCondition where IfMatch is
// given.
type Blobs interface {
	// Get opens the blob for reading; the caller closes the reader. An open
	// reader goes on giving the bytes it was opened on, or fails; it never
	// mixes two versions. An Offset at or past the end gives an empty reader.
	Get(ctx context.Context, key string, o ReadOptions) (BlobInfo, io.ReadCloser, error)
	// Head describes the blob without reading it.
	Head(ctx context.Context, key string) (BlobInfo, error)
	// Put writes the blob whole, at most MaxPutBytes, and drops every
	// uncommitted part of that key. Readers see the old or the new, never a mix.
	Put(ctx context.Context, key string, body []byte, meta map[string]string, c Condition) (BlobInfo, error)
	// SetMeta replaces the metadata; the ETag changes, the bytes do not. The
	// info it returns has no Size.
	SetMeta(ctx context.Context, key string, meta map[string]string, c Condition) (BlobInfo, error)
	// PutPart stages a part of a blob. Staging the same id again replaces it.
	// An empty part is refused. Nothing is visible before Commit.
	PutPart(ctx context.Context, key string, id PartID, body []byte) error
	// Parts lists the uncommitted parts, in no order; none is not an error.
	Parts(ctx context.Context, key string) ([]Part, error)
	// Commit makes the named uncommitted parts, in this order, the blob's
	// content, and drops the other parts. No parts make an empty blob; a part
	// named twice is refused; a part that is not there is fault.Conflict with
	// CodeCondition. The info it returns has no Size.
	Commit(ctx context.Context, key string, parts []PartID, meta map[string]string, c Condition) (BlobInfo, error)
	// Delete removes the blob and its uncommitted parts. Deleting what is not
	// there is not an error, unless IfMatch is given.
	Delete(ctx context.Context, key string, c Condition) error
	// List yields the blobs whose keys begin with prefix, in key order.
	List(ctx context.Context, prefix string) iter.Seq2[BlobInfo, error]
	// SignRead returns a URL, without a key of ours in it, that reads this
	// blob until the time given, at most MaxSigned from now.
	SignRead(ctx context.Context, key string, until time.Time) (SignedURL, error)
	// SignWrite returns a URL that accepts Put Blob, Put Block and Put Block
	// List for this blob until the time given, at most MaxSigned from now.
	SignWrite(ctx context.Context, key string, until time.Time) (SignedURL, error)
}

// SignedURL is a link in the three parts of a classic blob reference: the
// address is Base + Path + Query.
type SignedURL struct {
	Base  string // "https://account.blob.core.windows.net/"
	Path  string // "container/a/b.csv"
	Query string // "?sv=…&sig=…"
}

func (u SignedURL) String() string { return u.Base + u.Path + u.Query }

// Props are an entity's properties. Values are string, int64, float64, bool,
// []byte or time.Time; names are [A-Za-z][A-Za-z0-9_]{0,254}, and
// "PartitionKey", "RowKey", "Timestamp" and "ETag" are taken.
//
// A string is valid UTF-8, a float64 is finite; a time is kept in UTC to the
// microsecond, and lies in the years 1601 to 9999.
type Props map[string]any

// Str, Int, Float, Bool, Bytes and Time return the named property, or the
// zero value where it is absent or of another type.
func (p Props) Str(name string) string { v, _ := p[name].(string); return v }

// Int returns the named integer.
func (p Props) Int(name string) int64 { v, _ := p[name].(int64); return v }

// Float returns the named number.
func (p Props) Float(name string) float64 { v, _ := p[name].(float64); return v }

// Bool returns the named truth value.
func (p Props) Bool(name string) bool { v, _ := p[name].(bool); return v }

// Bytes returns the named byte string.
func (p Props) Bytes(name string) []byte { v, _ := p[name].([]byte); return v }

// Time returns the named time.
func (p Props) Time(name string) time.Time { v, _ := p[name].(time.Time); return v }

// Entity is one row of a table.
type Entity struct {
	Partition string
	Row       string
	ETag      string
	Props     Props
}

// OpKind is what an Op does.
type OpKind uint8

const (
	// Insert adds a row; CodeExists where it is there.
	Insert OpKind = iota
	// Replace overwrites all properties of a row that is there; IfMatch is
	// required (AnyETag for any version). Absence is fault.NotFound.
	Replace
	// Upsert inserts or overwrites, unconditionally.
	Upsert
	// Delete removes a row that is there; IfMatch is required. Absence is
	// fault.NotFound.
	Delete
)

// Op is one operation of an Apply.
type Op struct {
	Kind    OpKind
	Row     string
	IfMatch string
	Props   Props
}

// Range bounds a Query by row key, From inclusive, To exclusive; empty = open.
type Range struct {
	From, To string
}

// Prefix is the range of the row keys that begin with p.
func Prefix(p string) Range {
	if p == "" {
		return Range{}
	}
	return Range{From: p, To: p[:len(p)-1] + string(p[len(p)-1]+1)}
}

// Tables stores entities. Table names are [A-Za-z][A-Za-z0-9]{2,62}; keys of
// partitions and rows are [A-Za-z0-9._-]{1,256}; rows of a partition are
// ordered by the bytes of their row key.
type Tables interface {
	// Get returns one entity, as of the last write that returned.
	Get(ctx context.Context, table, partition, row string) (Entity, error)
	// Apply performs all the operations, on different rows of one partition,
	// or none of them. The error of a failed one names its row in Target.
	// It returns the new ETags, in the operations' order ("" for a Delete).
	Apply(ctx context.Context, table, partition string, ops ...Op) ([]string, error)
	// Query yields a partition's entities in row-key order. Rows written
	// before the call are seen; rows written during it may be.
	Query(ctx context.Context, table, partition string, r Range) iter.Seq2[Entity, error]
}

// Message is a received, invisible message.
type Message struct {
	ID           string
	Receipt      string
	Body         []byte
	DequeueCount int
	Inserted     time.Time
}

// Queues holds messages until they are deleted; they never expire. Delivery
// is at least once and in no promised order. Queue names are
// [a-z0-9](-?[a-z0-9])*, 3 to 63 long. A queue comes to be when first used.
type Queues interface {
	// Send appends a message of 1 to MaxMessageBytes bytes, visible after
	// delay (at most MaxDelay). Drivers may round a delay or visibility up to
	// whole seconds.
	Send(ctx context.Context, queue string, body []byte, delay time.Duration) error
	// Receive takes up to max (≤ 32) visible messages and hides them for
	// visibility, which is positive. None is an empty slice at once.
	Receive(ctx context.Context, queue string, max int, visibility time.Duration) ([]Message, error)
	// Extend hides a received message for visibility from now (0 shows it at
	// once) and returns it with its new receipt. A receipt that is no longer
	// the message's own is CodeCondition.
	Extend(ctx context.Context, queue string, m Message, visibility time.Duration) (Message, error)
	// Delete removes a received message; a message already gone is not an
	// error. A receipt that is no longer the message's own removes nothing; it
	// is CodeCondition where the store can tell it from a message gone.
	Delete(ctx context.Context, queue string, m Message) error
	// Depth is the approximate number of messages, hidden ones included.
	Depth(ctx context.Context, queue string) (int64, error)
}

// Store is one storage account: the blobs of three containers, and the tables
// and queues. Closing is the affair of the driver that made it.
type Store struct {
	// Blobs is container "portico": everything of ours; keys begin with the
	// workspace.
	Blobs Blobs
	// Drop is container "drop", where callers put files to be scored, and
	// DropDone is container "dropdone", where the results go: a result under
	// the prefix that is watched would be scored again.
	Drop, DropDone Blobs

	Tables Tables
	Queues Queues
}

// Names of the containers of a Store.
const (
	Container         = "portico"
	DropContainer     = "drop"
	DropDoneContainer = "dropdone"
)
