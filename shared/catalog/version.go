package catalog

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Version is one version of a dataset, trained model or transformation. It is
// written once and never changes.
type Version struct {
	Kind   service.PortKind `json:"kind"`
	Name   string           `json:"name"`
	Number int              `json:"version"` // from 1
	// Digest is the artifact that decides what the version computes: the model
	// file, the fitted transformation, the dataset's own document.
	Digest string `json:"digest"`
	// Original is the artifact of the file as it was given; empty where
	// Portico made the version itself.
	Original string `json:"original,omitempty"`
	// Record is the artifact, JSON, of what is known of the version: metrics,
	// provenance, the check. It decides no score.
	Record string `json:"recordDigest,omitempty"`
	// Format is that of the original: "csv", "XGBoost JSON", …
	Format string `json:"format,omitempty"`
	// NoHeader says that the file of a dataset has no header row.
	NoHeader    bool   `json:"noHeader,omitempty"`
	Description string `json:"description,omitempty"` // of a dataset
	Bytes       int64  `json:"bytes"`                 // of the original, else of the artifact
	Rows        int64  `json:"rows,omitempty"`        // of a dataset
	Cols        int64  `json:"columns,omitempty"`     // of a dataset
	// Unverified says that an imported model was not checked against scores of
	// its own program.
	Unverified bool      `json:"unverified,omitempty"`
	Created    time.Time `json:"created"`
	By         auth.Who  `json:"createdBy"`
}

// kinds are the kinds of versioned things, the partition of each, and the words
// for it, and what events call it.
var kinds = map[service.PortKind]struct{ partition, what, code, event string }{
	service.Dataset:        {"datasets", "dataset", "DatasetNotFound", "dataset"},
	service.TrainedModel:   {"models", "trained model", "TrainedModelNotFound", "model"},
	service.Transformation: {"transforms", "transformation", "TransformationNotFound", "transformation"},
}

// CodeNameTaken says that a name that must be new is not, CodeInUse that what is
// to be deleted is used.
const (
	CodeNameTaken = "NameTaken"
	CodeInUse     = "InUse"
)

func versionsPartition(ws string, kind service.PortKind) string {
	return ws + "." + kinds[kind].partition
}

func nameRow(h string) string                { return "n." + h }
func versionRow(h string, number int) string { return fmt.Sprintf("v.%s.%08d", h, number) }

func (v *Version) props() storage.Props {
	p := storage.Props{
		"name": v.Name, "number": int64(v.Number), "digest": v.Digest, "original": v.Original, "record": v.Record,
		"format": v.Format, "noHeader": v.NoHeader, "description": v.Description, "bytes": v.Bytes, "rows": v.Rows, "cols": v.Cols, "unverified": v.Unverified, "created": v.Created,
	}
	setBy(p, v.By)
	return p
}

func readVersion(kind service.PortKind, e storage.Entity) *Version {
	p := e.Props
	return &Version{
		Kind: kind, Name: p.Str("name"), Number: int(p.Int("number")), Digest: p.Str("digest"), Original: p.Str("original"), Record: p.Str("record"),
		Format: p.Str("format"), NoHeader: p.Bool("noHeader"), Description: p.Str("description"), Bytes: p.Int("bytes"), Rows: p.Int("rows"), Cols: p.Int("cols"), Unverified: p.Bool("unverified"),
		Created: p.Time("created"), By: readBy(p),
	}
}

// same reports whether saving v after old would change nothing.
func (v *Version) same(old *Version) bool {
	return v.Digest == old.Digest && v.Original == old.Original && v.Record == old.Record && v.Unverified == old.Unverified && v.Description == old.Description
}

// save adds a version of v's name: number, time and author are set here. Saving
// again what is the newest version gives that version. The artifacts v names
// must be stored before. fresh refuses a name that is taken.
func (c *Catalog) save(ctx context.Context, ws string, v Version, fresh bool, by auth.Identity) (*Version, error) {
	k := kinds[v.Kind]
	if err := CheckName(k.what, v.Name); err != nil {
		return nil, err
	}
	partition, h := versionsPartition(ws, v.Kind), hash(v.Name)
	err := again(ctx, k.what+" "+strconv.Quote(v.Name), func() error {
		pointer := storage.Op{Kind: storage.Insert, Row: nameRow(h)}
		latest := 0
		e, err := c.tables.Get(ctx, table, partition, nameRow(h))
		switch {
		case err == nil && fresh:
			return taken(v.Kind, v.Name)
		case err == nil:
			old := readVersion(v.Kind, e)
			if v.same(old) {
				v = *old
				return nil
			}
			latest = max(old.Number, int(e.Props.Int("last"))) // numbers of deleted versions are not given again
			pointer.Kind, pointer.IfMatch = storage.Replace, e.ETag
		case !fault.Is(err, fault.NotFound):
			return err
		}
		v.Number, v.Created, v.By = latest+1, time.Now().UTC().Truncate(time.Microsecond), by.Who()
		pointer.Props = v.props()
		_, err = c.tables.Apply(ctx, table, partition, storage.Op{Kind: storage.Insert, Row: versionRow(h, v.Number), Props: v.props()}, pointer)
		return settled(err)
	})
	if err != nil {
		return nil, err
	}
	return &v, nil
}

func taken(kind service.PortKind, name string) error {
	return fault.New(fault.Conflict, CodeNameTaken, "a %s is called %q already: choose another name, or save a new version of it", kinds[kind].what, name).At("name")
}

// List lists the newest version of every name of a kind, by name.
func (c *Catalog) List(ctx context.Context, ws string, kind service.PortKind) ([]*Version, error) {
	out := []*Version{}
	for e, err := range c.tables.Query(ctx, table, versionsPartition(ws, kind), storage.Prefix("n.")) {
		if err != nil {
			return nil, err
		}
		out = append(out, readVersion(kind, e))
	}
	slices.SortFunc(out, func(a, b *Version) int {
		return strings.Compare(strings.ToLower(a.Name)+"\x00"+a.Name, strings.ToLower(b.Name)+"\x00"+b.Name)
	})
	return out, nil
}

// Versions lists the versions of a name, the newest first. A name without any
// is fault.NotFound.
func (c *Catalog) Versions(ctx context.Context, ws string, kind service.PortKind, name string) ([]*Version, error) {
	var out []*Version
	for e, err := range c.tables.Query(ctx, table, versionsPartition(ws, kind), storage.Prefix("v."+hash(name)+".")) {
		if err != nil {
			return nil, err
		}
		out = append(out, readVersion(kind, e))
	}
	if len(out) == 0 {
		return nil, c.unknown(ctx, ws, kind, name)
	}
	slices.Reverse(out)
	return out, nil
}

// Latest stands for the newest version where a version is written as text.
const Latest = "latest"

// ParseNumber reads the text of a version: a number from 1, or "" or Latest,
// which are 0.
func ParseNumber(s string) (int, error) {
	if s == "" || s == Latest {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 26)
	if err != nil || n == 0 {
		return 0, fault.New(fault.BadArgument, "BadParameterValue", "version %.40q: a number from 1 or %q is needed", s, Latest).At("version")
	}
	return int(n), nil
}

// Saved returns a version of a dataset, trained model or transformation; number
// 0 is the newest.
func (c *Catalog) Saved(ctx context.Context, ws string, kind service.PortKind, name string, number int) (*Version, error) {
	k, ok := kinds[kind]
	if !ok {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "nothing of kind %.40q is saved: one of Dataset, TrainedModel, Transformation", kind)
	}
	h := hash(name)
	row := versionRow(h, number)
	if number == 0 {
		row = nameRow(h)
	}
	e, err := c.tables.Get(ctx, table, versionsPartition(ws, kind), row)
	switch {
	case err == nil:
		return readVersion(kind, e), nil
	case !fault.Is(err, fault.NotFound):
		return nil, err
	case number == 0:
		return nil, c.unknown(ctx, ws, kind, name)
	}
	newest, err := c.Saved(ctx, ws, kind, name, 0)
	if err != nil {
		return nil, err
	}
	return nil, notFound(k.code, "%s %q has no version %d: its newest is %d", k.what, name, number, newest.Number)
}

// unknown says that nothing is called name, and what is called nearly so.
func (c *Catalog) unknown(ctx context.Context, ws string, kind service.PortKind, name string) error {
	k := kinds[kind]
	all, err := c.List(ctx, ws, kind)
	if err != nil {
		return err
	}
	for _, v := range all {
		if strings.EqualFold(strings.TrimSpace(v.Name), strings.TrimSpace(name)) {
			return notFound(k.code, "no %s is called %q; did you mean %q?", k.what, name, v.Name)
		}
	}
	return notFound(k.code, "no %s is called %q", k.what, name)
}

// Artifact reads one of a version's artifacts: its Digest, Original or Record.
// One that is gone is a fault of ours, not of who asks.
func (c *Catalog) Artifact(ctx context.Context, ws, digest string) ([]byte, error) {
	body, err := c.artifacts.Get(ctx, ws, digest)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.Internal, "", "artifact %s is gone, though the catalog names it", digest).Because(err)
	}
	return body, err
}

// Link returns a signed address from which one of a version's artifacts can be
// read until the time given.
func (c *Catalog) Link(ctx context.Context, ws, digest string, until time.Time) (storage.SignedURL, error) {
	return c.artifacts.Link(ctx, ws, digest, until)
}
