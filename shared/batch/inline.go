package batch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/wire"
)

// maxInlineRows bounds the records of one input in a submit body. The body's
// own limit is the one that counts.
const maxInlineRows = 10_000_000

// inline reports whether an input is records and not a reference: an array of
// rows, or a table with ColumnNames.
func inline(raw json.RawMessage) bool {
	if len(raw) > 0 && raw[0] == '[' {
		return true
	}
	var table struct{ ColumnNames json.RawMessage }
	return json.Unmarshal(raw, &table) == nil && table.ColumnNames != nil
}

// snapshot copies records that came in the request: they are read as RRS reads
// them, so that what is wrong with them is said at once, and kept as the one
// printer prints them, under the digest of that.
func (b *Batch) snapshot(ctx context.Context, j *job, s *source, p service.Port, layout *frame.Layout, raw json.RawMessage) error {
	name, err := json.Marshal(p.Name)
	if err != nil {
		return err
	}
	body := append([]byte(`{"Inputs":{`), name...)
	body = append(append(append(body, ':'), raw...), "}}"...)
	f := layout.New(0)
	d := wire.Decoder{MaxRows: maxInlineRows}
	if err := d.Execute(wire.NewPorts(&service.Manifest{Inputs: []service.Port{p}}), body, []*frame.Frame{f}); err != nil {
		return err
	}
	text := frame.AppendCSV(nil, f, ',')
	sum := sha256.Sum256(text)
	s.Format, s.Key = "csv", inputKey(j.Workspace, j.ID, p.Name, hex.EncodeToString(sum[:]), "csv")
	_, err = b.store.Blobs.Put(ctx, s.Key, text, nil, storage.Condition{})
	return err
}
