package batch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// A file dropped as drop/{ws}/{service}/{file} is answered in container
// dropdone, under {ws}/{service}/{file}/{job}/:
//
//	{output}.{ext}  the result, in the format of the file: parquet, jsonl.gz
//	errors.csv      the rows that were bad, if any
//	receipt.json    what became of the file, written last
//
// Another container than the one that is watched, or every answer would be
// scored in its turn.
const receiptName = "receipt.json"

// dropStart marks a job as started by its file; no caller can send it.
const dropStart = "drop"

// Dropped is a file in container drop, with what it was resolved to. Its Body
// and IdempotencyKey are not used.
type Dropped struct {
	Submission
	Key string // of the file, in container drop
}

// Drop submits and starts the job of a dropped file. The same version of a
// file is the same job, however often it is told. A file that is gone is
// nobody's.
func (b *Batch) Drop(ctx context.Context, d Dropped) error {
	info, err := b.store.Drop.Head(ctx, d.Key)
	gone, err := absent(err)
	if gone || err != nil {
		return err
	}
	j := &job{
		ID: dropID(d.Workspace, d.Service, d.Key, info.ETag), Workspace: d.Workspace, Service: d.Service, ServiceName: d.ServiceName,
		Endpoint: d.Endpoint, Digest: d.Digest, State: NotStarted, Created: now(), Drop: d.Key,
	}
	// What comes after this was done before, if the job is there.
	if _, err := b.load(ctx, j.ID); fault.Is(err, fault.NotFound) {
		if err := b.describeDrop(ctx, j, d, info.ETag); err != nil {
			return err
		}
		if err := b.register(ctx, j); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	return b.Start(ctx, j.Workspace, j.Endpoint, j.ID, dropStart)
}

func (b *Batch) describeDrop(ctx context.Context, j *job, d Dropped, etag string) error {
	if err := j.Options.settle(rowsCollect); err != nil {
		return err
	}
	if d.RowErrors != "" {
		j.Options.RowErrors = d.RowErrors
	}
	dep, release, err := b.Deployment(ctx, j.Workspace, j.Digest)
	if err != nil {
		return err
	}
	defer release()
	m := dep.Manifest()
	if len(m.Inputs) != 1 {
		return fault.New(fault.BadArgument, "InvalidInputNames", "The service has %d inputs (%s): a dropped file can be only one of them.", len(m.Inputs), names(m.Inputs))
	}
	ref := &blob.Reference{RelativeLocation: d.Key}
	kind, err := tableFormat(m.Inputs[0].Name, "", ref)
	if err != nil {
		return err
	}
	if err := checkParameters(dep, nil); err != nil {
		return err
	}
	if err := b.describeOutputs(ctx, j, &request{}, m.Outputs, &secrets{}); err != nil {
		return err
	}
	for i, p := range m.Outputs {
		// In the form in which the file came, if that can hold the answer.
		if artifactFormat(p.Kind) == "" && holds(kind, p.Schema) == nil {
			j.Outputs[i].Format = kind
		}
	}
	s := source{Name: m.Inputs[0].Name, Drop: d.Key, ETag: etag}
	s.unpack(j, kind)
	j.Inputs = []source{s}
	return nil
}

// dropFolder is where the answers to a dropped file go.
func dropFolder(key, job string) string { return key + "/" + job + "/" }

func dropName(f file) string {
	if f.Name == errorFile {
		return "errors.csv"
	}
	return safe(f.Name) + "." + f.Format
}

// deliverDrop copies the committed files beside the receipt to be.
func (b *Batch) deliverDrop(ctx context.Context, j *job, files []file) error {
	for _, f := range files {
		if f.Name == errorFile && j.Totals.Bad == 0 {
			continue
		}
		c, err := b.content(ctx, j, f)
		if err != nil {
			return err
		}
		err = blob.CopyTo(ctx, b.store.DropDone, dropFolder(j.Drop, j.ID)+dropName(f), c, j.meta(), storage.Condition{IfAbsent: true})
		if err != nil && !fault.HasCode(err, storage.CodeExists) {
			return fault.Wrap(err, fault.Unavailable, "deliver "+f.Name)
		}
	}
	return nil
}

// receiptDoc is the receipt of a dropped file.
type receiptDoc struct {
	File       string    `json:"file"`
	Job        string    `json:"job"`
	Service    string    `json:"service,omitempty"`
	Deployment string    `json:"deployment,omitempty"`
	Status     State     `json:"status"`
	Details    string    `json:"details,omitempty"`
	RowsRead   int64     `json:"rowsRead"`
	Written    int64     `json:"rowsWritten"`
	Bad        int64     `json:"badRows"`
	Files      []string  `json:"files,omitempty"`
	Received   time.Time `json:"received"`
	Ended      time.Time `json:"ended"`
}

// receipt writes the receipt of an ended drop job; it says the same however
// often it is written.
func (b *Batch) receipt(ctx context.Context, j *job) error {
	r := receiptDoc{
		File: j.Drop, Job: j.ID, Service: j.ServiceName, Deployment: j.Digest, Status: j.State.Classic(), Received: j.Created, Ended: j.Ended,
	}
	if j.Failure != nil {
		r.Details = j.Failure.String()
	}
	if t := j.Totals; t != nil {
		r.RowsRead, r.Written, r.Bad = t.RowsIn, t.RowsOut, t.Bad
		for _, f := range b.files(j) {
			if j.State == Finished && (f.Name != errorFile || t.Bad > 0) {
				r.Files = append(r.Files, dropName(f))
			}
		}
	}
	return b.writeReceipt(ctx, dropFolder(j.Drop, j.ID), r)
}

// RefuseDrop answers a dropped file that cannot become a job: the reason goes
// where the result would have gone. ws and service are as the path has them.
func (b *Batch) RefuseDrop(ctx context.Context, key string, cause error) error {
	info, err := b.store.Drop.Head(ctx, key)
	gone, err := absent(err)
	if gone || err != nil {
		return err
	}
	ws, rest, _ := strings.Cut(key, "/")
	svc, _, _ := strings.Cut(rest, "/")
	id := dropID(ws, svc, key, info.ETag)
	return b.writeReceipt(ctx, dropFolder(key, id), receiptDoc{
		File: key, Job: id, Service: svc, Status: Failed, Details: failureOf(cause).String(), Received: info.Modified.UTC(), Ended: now(),
	})
}

// RefuseName answers a file whose path no store of this program takes, and which
// so cannot be read: under dropdone, with every part of the path made one that
// can be. Dropping it again under that path gives no second answer.
func (b *Batch) RefuseName(ctx context.Context, key string) error {
	ws, rest, _ := strings.Cut(key, "/")
	parts := strings.Split(rest, "/")
	id := dropID(ws, parts[0], key, "")
	svc := parts[0]
	for i, p := range parts {
		parts[i] = plainName(p)
	}
	cause := fault.New(fault.BadArgument, "InputBlobRelativeLocationInvalid",
		"the path of a dropped file has parts of 1 to 256 letters, digits, dots, dashes and underscores, none with a dot at its end: give the file such a name")
	return b.writeReceipt(ctx, dropFolder(ws+"/"+strings.Join(parts, "/"), id), receiptDoc{
		File: strings.ToValidUTF8(key, "?"), Job: id, Service: strings.ToValidUTF8(svc, "?"), Status: Failed, Details: failureOf(cause).String(), Received: now(), Ended: now(),
	})
}

// plainName is a part of a path as it can be one of a key.
func plainName(part string) string {
	if storage.CheckKey(part) == nil {
		return part
	}
	sum := sha256.Sum256([]byte(part))
	plain := strings.Map(func(r rune) rune {
		if r < 128 && storage.CheckKey(string(r)+"x") == nil {
			return r
		}
		return '_'
	}, part[:min(len(part), 100)])
	return "x" + plain + "-" + hex.EncodeToString(sum[:4])
}

func (b *Batch) writeReceipt(ctx context.Context, folder string, r receiptDoc) error {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode receipt: %w", err)
	}
	_, err = b.store.DropDone.Put(ctx, folder+receiptName, append(body, '\n'), nil, storage.Condition{IfAbsent: true})
	if fault.HasCode(err, storage.CodeExists) {
		return nil
	}
	return err
}
