package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// MaxExperimentBytes bounds an experiment's document.
const MaxExperimentBytes = 4 << 20

// Experiment is a saved experiment. Its document is kept whatever its state:
// whether it can run is for those who run it to say.
type Experiment struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Doc is the document, without blanks between its tokens. Lists leave it
	// out.
	Doc json.RawMessage `json:"document,omitempty"`
	// DocDigest is the SHA-256 of Doc, and its artifact.
	DocDigest string `json:"documentDigest"`
	// Revision changes with every write; it is the condition of the next one.
	Revision string    `json:"revision"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	By       auth.Who  `json:"updatedBy"`

	etag string
}

// written notes the ETag of the experiment's row. The revision is made of it
// because ETags of some stores have characters that need quoting in headers.
func (x *Experiment) written(etag string) {
	x.etag, x.Revision = etag, hash(etag)[:16]
}

func experimentsPartition(ws string) string { return ws + ".experiments" }

func (x *Experiment) props() storage.Props {
	p := storage.Props{"name": x.Name, "description": x.Description, "doc": x.DocDigest, "created": x.Created, "updated": x.Updated}
	setBy(p, x.By)
	return p
}

func readExperiment(e storage.Entity) *Experiment {
	p := e.Props
	x := &Experiment{
		ID: e.Row, Name: p.Str("name"), Description: p.Str("description"), DocDigest: p.Str("doc"),
		Created: p.Time("created"), Updated: p.Time("updated"), By: readBy(p),
	}
	x.written(e.ETag)
	return x
}

// setDoc stores doc as the experiment's document.
func (c *Catalog) setDoc(ctx context.Context, ws string, x *Experiment, doc json.RawMessage) error {
	if len(doc) > MaxExperimentBytes {
		return fault.New(fault.TooLarge, "", "the experiment's document has %d bytes: at most %d are allowed; keep larger tables in datasets", len(doc), MaxExperimentBytes).At("document")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, doc); err != nil || !bytes.HasPrefix(compact.Bytes(), []byte("{")) {
		return fault.New(fault.BadArgument, "RequestBodyInvalid", "the experiment's document must be a JSON object").At("document")
	}
	digest, err := c.artifacts.Put(ctx, ws, compact.Bytes())
	x.Doc, x.DocDigest = compact.Bytes(), digest
	return err
}

// CreateExperiment saves a new experiment.
func (c *Catalog) CreateExperiment(ctx context.Context, ws, name, description string, doc json.RawMessage, by auth.Identity) (*Experiment, error) {
	if err := c.checkExperiment(name, description); err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	x := &Experiment{ID: service.NewID(), Name: name, Description: description, Created: now, Updated: now, By: by.Who()}
	if err := c.setDoc(ctx, ws, x, doc); err != nil {
		return nil, err
	}
	etags, err := c.tables.Apply(ctx, table, experimentsPartition(ws), storage.Op{Kind: storage.Insert, Row: x.ID, Props: x.props()})
	if err != nil {
		return nil, err
	}
	x.written(etags[0])
	return x, nil
}

func (c *Catalog) checkExperiment(name, description string) error {
	if len(description) > 16<<10 {
		return fault.New(fault.TooLarge, "", "the experiment's description has %d bytes: at most %d are allowed", len(description), 16<<10).At("description")
	}
	return CheckName("experiment", name)
}

// Experiment returns one experiment with its document.
func (c *Catalog) Experiment(ctx context.Context, ws, id string) (*Experiment, error) {
	x, err := c.experimentRow(ctx, ws, id)
	if err != nil {
		return nil, err
	}
	x.Doc, err = c.Artifact(ctx, ws, x.DocDigest)
	if err != nil {
		return nil, err
	}
	return x, nil
}

func (c *Catalog) experimentRow(ctx context.Context, ws, id string) (*Experiment, error) {
	if err := checkID("the experiment", "ExperimentNotFound", id); err != nil {
		return nil, err
	}
	e, err := c.tables.Get(ctx, table, experimentsPartition(ws), id)
	if err != nil {
		return nil, absent(err, "ExperimentNotFound", "the experiment does not exist")
	}
	return readExperiment(e), nil
}

// Experiments lists the experiments of a workspace without their documents, the
// last changed first.
func (c *Catalog) Experiments(ctx context.Context, ws string) ([]*Experiment, error) {
	out := []*Experiment{}
	for e, err := range c.tables.Query(ctx, table, experimentsPartition(ws), notAudit) {
		if err != nil {
			return nil, err
		}
		out = append(out, readExperiment(e))
	}
	slices.SortFunc(out, func(a, b *Experiment) int {
		if d := b.Updated.Compare(a.Updated); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// ExperimentChange is a change of an experiment; nil = as it is.
type ExperimentChange struct {
	Name, Description *string
	Doc               json.RawMessage
}

// ChangeExperiment changes an experiment on condition that its revision is
// still the one given. A lost race is fault.Conflict with the code
// RevisionChanged and names who won it.
func (c *Catalog) ChangeExperiment(ctx context.Context, ws, id, revision string, ch ExperimentChange, by auth.Identity) (*Experiment, error) {
	x, err := c.experimentAt(ctx, ws, id, revision)
	if err != nil {
		return nil, err
	}
	for _, f := range []struct{ dst, src *string }{{&x.Name, ch.Name}, {&x.Description, ch.Description}} {
		if f.src != nil {
			*f.dst = *f.src
		}
	}
	if err := c.checkExperiment(x.Name, x.Description); err != nil {
		return nil, err
	}
	if ch.Doc != nil {
		err = c.setDoc(ctx, ws, x, ch.Doc)
	} else {
		x.Doc, err = c.Artifact(ctx, ws, x.DocDigest)
	}
	if err != nil {
		return nil, err
	}
	x.Updated, x.By = time.Now().UTC().Truncate(time.Microsecond), by.Who()
	etags, err := c.tables.Apply(ctx, table, experimentsPartition(ws), storage.Op{Kind: storage.Replace, Row: id, IfMatch: x.etag, Props: x.props()})
	if err != nil {
		return nil, c.experimentLost(ctx, ws, id, err)
	}
	x.written(etags[0])
	return x, nil
}

// CopyExperiment saves a copy under a new id: publishing it makes a new
// service.
func (c *Catalog) CopyExperiment(ctx context.Context, ws, id, name string, by auth.Identity) (*Experiment, error) {
	x, err := c.Experiment(ctx, ws, id)
	if err != nil {
		return nil, err
	}
	if name == "" {
		runes := []rune(x.Name)
		name = strings.TrimSpace(string(runes[:min(len(runes), maxName-len(" - copy"))])) + " - copy"
	}
	return c.CreateExperiment(ctx, ws, name, x.Description, x.Doc, by)
}

// DeleteExperiment deletes an experiment on condition of its revision. What was
// published from it stays.
func (c *Catalog) DeleteExperiment(ctx context.Context, ws, id, revision string, by auth.Identity) error {
	x, err := c.experimentAt(ctx, ws, id, revision)
	if err != nil {
		return err
	}
	_, err = c.tables.Apply(ctx, table, experimentsPartition(ws), storage.Op{Kind: storage.Delete, Row: id, IfMatch: x.etag},
		record(Event{Type: EventExperimentDeleted, Subject: x.Name, Object: id}, by))
	if err != nil {
		return c.experimentLost(ctx, ws, id, err)
	}
	return nil
}

// experimentAt returns the experiment if its revision is the one given.
func (c *Catalog) experimentAt(ctx context.Context, ws, id, revision string) (*Experiment, error) {
	if revision == "" {
		return nil, fault.New(fault.BadArgument, "RevisionRequired", "say which revision of the experiment you change: send If-Match with the revision you read")
	}
	x, err := c.experimentRow(ctx, ws, id)
	if err != nil {
		return nil, err
	}
	if x.Revision != revision {
		return nil, revisionChanged(x)
	}
	return x, nil
}

func (c *Catalog) experimentLost(ctx context.Context, ws, id string, err error) error {
	if !lost(err) && !fault.Is(err, fault.NotFound) {
		return err
	}
	x, err := c.experimentRow(ctx, ws, id)
	if err != nil {
		return err
	}
	return revisionChanged(x)
}

func revisionChanged(x *Experiment) error {
	return fault.New(fault.Conflict, "RevisionChanged", "%s changed the experiment at %s: read it again and repeat your change",
		x.By, x.Updated.Format(time.RFC3339))
}
