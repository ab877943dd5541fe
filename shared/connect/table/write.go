package table

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

type sink struct{ *table }

// columns are what is written, and under what names.
func (t *sink) columns(s frame.Schema) (from []int, names []string, err error) {
	columns := t.Columns
	if len(columns) == 0 {
		columns = s.Names()
	}
	for k, c := range columns {
		i := s.Index(c)
		if i < 0 {
			return nil, nil, fault.Module(1, "column %q, which is to be saved, is not there", c).At("Columns")
		}
		if len(t.TableColumns) > 0 {
			c = t.TableColumns[k]
		}
		if slices.Contains([]string{t.PartitionKey, t.RowKey}, s[i].Name) && len(t.Columns) == 0 {
			continue // it is the entity's key already
		}
		if !isProperty(c) {
			return nil, nil, fault.Module(2, "%q cannot be the name of a property of an entity, which has letters, digits and _ only: name the columns to be saved, and what they are called in the table", c).At("TableColumns")
		}
		from, names = append(from, i), append(names, c)
	}
	if len(names) > 252 {
		return nil, nil, fault.Module(22, "%d columns are to be saved; an entity has at most 252 properties", len(names)).At("Columns")
	}
	return from, names, nil
}

func isProperty(name string) bool {
	if name == "" || len(name) > 255 || slices.Contains([]string{"PartitionKey", "RowKey", "Timestamp"}, name) {
		return false
	}
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return true
}

// keys finds the columns that an entity's keys are taken from; -1 for none.
func (t *sink) keys(s frame.Schema) (keys [2]int, err error) {
	for k, name := range []string{t.PartitionKey, t.RowKey} {
		keys[k] = -1
		if name == "" {
			continue
		}
		if keys[k] = s.Index(name); keys[k] < 0 {
			return keys, fault.Module(1, "key column %q is not there", name).At([]string{"PartitionKey", "RowKey"}[k])
		}
	}
	return keys, nil
}

// Check makes the table, or finds that it is there.
func (t *sink) Check(ctx context.Context, s frame.Schema) error {
	if _, _, err := t.columns(s); err != nil {
		return err
	}
	if _, err := t.keys(s); err != nil {
		return err
	}
	return t.create(ctx)
}

func (t *sink) create(ctx context.Context) error {
	_, err := t.client.CreateTable(ctx, nil)
	if e, ok := errors.AsType[*azcore.ResponseError](err); ok && (e.StatusCode == 409 || e.StatusCode == 403) {
		return nil // it is there, or the signature is for rows alone: writing tells
	}
	return t.fail(ctx, "make it", err)
}

// Open begins a delivery: without key columns, its name is the partition and a
// row's number its key.
func (t *sink) Open(ctx context.Context, s frame.Schema, delivery string) (connect.Writer, error) {
	w := &writer{sink: t, delivery: delivery, open: make(map[string]*group)}
	var err error
	if w.from, w.names, err = t.columns(s); err != nil {
		return nil, err
	}
	if w.keys, err = t.keys(s); err != nil {
		return nil, err
	}
	if w.delivery == "" {
		w.delivery = rand.Text()
	}
	w.delivery = strings.NewReplacer("/", "-", `\`, "-", "#", "-", "?", "-").Replace(w.delivery)
	return w, t.create(ctx)
}

// group is the entities of one partition that wait to be written together.
type group struct {
	actions []aztables.TransactionAction
	rows    map[string]int // row key -> action
	size    int
}

const (
	groupRows  = 100     // the most of one transaction
	groupBytes = 3 << 20 // of 4 MiB with what is around them
	openRows   = 10_000  // entities that wait at once
)

type writer struct {
	*sink
	delivery string
	from     []int
	names    []string
	keys     [2]int
	open     map[string]*group
	waiting  int
	row      int
	cell     []byte
}

// Append writes rows, as many of a partition together as there may be.
func (w *writer) Append(ctx context.Context, f *frame.Frame) error {
	for r := range f.Rows() {
		w.row++
		partition, row, err := w.key(f, r)
		if err != nil {
			return err
		}
		body, err := json.Marshal(w.entity(f, r, partition, row))
		if err != nil {
			return fault.New(fault.Internal, "", "encode an entity").Because(err)
		}
		if err := w.add(ctx, partition, row, body); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) add(ctx context.Context, partition, row string, body []byte) error {
	g := w.open[partition]
	if g == nil {
		g = &group{rows: make(map[string]int)}
		w.open[partition] = g
	}
	action := aztables.TransactionAction{ActionType: aztables.TransactionTypeInsertReplace, Entity: body}
	if i, twice := g.rows[row]; twice {
		g.actions[i] = action // the last row of a key stays
		return nil
	}
	g.rows[row] = len(g.actions)
	g.actions = append(g.actions, action)
	g.size += len(body)
	w.waiting++
	if len(g.actions) == groupRows || g.size > groupBytes {
		return w.flush(ctx, partition)
	}
	if w.waiting >= openRows {
		return w.Commit(ctx)
	}
	return nil
}

func (w *writer) flush(ctx context.Context, partition string) error {
	g := w.open[partition]
	_, err := w.client.SubmitTransaction(ctx, g.actions, nil)
	if err != nil {
		return w.fail(ctx, "write to it", err)
	}
	delete(w.open, partition)
	w.waiting -= len(g.actions)
	return nil
}

// Commit writes what waits.
func (w *writer) Commit(ctx context.Context) error {
	partitions := make([]string, 0, len(w.open))
	for p := range w.open {
		partitions = append(partitions, p)
	}
	slices.Sort(partitions)
	for _, p := range partitions {
		if err := w.flush(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// Abort forgets what waits; what was written stays.
func (w *writer) Abort() { clear(w.open) }

func (w *writer) key(f *frame.Frame, r int) (partition, row string, err error) {
	key := [2]string{w.delivery, fmt.Sprintf("%010d", w.row)}
	for k, i := range w.keys {
		if i < 0 {
			continue
		}
		c := f.Cols[i]
		text := string(c.Print(w.cell[:0], r))
		if c.IsNull(r) || text == "" && k == 1 {
			return "", "", fault.Module(3, "row %d has no value in key column %q", w.row, c.Field.Name).At(c.Field.Name)
		}
		if strings.ContainsAny(text, `/\#?`) || strings.ContainsFunc(text, unicode.IsControl) || len(text) > 512 {
			return "", "", fault.Module(2, "row %d: the value of key column %q cannot be a key: it has one of / \\ # ? or a control character in it, or more than 512 bytes", w.row, c.Field.Name).At(c.Field.Name)
		}
		key[k] = text
	}
	return key[0], key[1], nil
}

// entity is a row as the service reads it; a missing cell is no property.
func (w *writer) entity(f *frame.Frame, r int, partition, row string) map[string]any {
	e := map[string]any{"PartitionKey": partition, "RowKey": row}
	for k, i := range w.from {
		c, name := f.Cols[i], w.names[k]
		if c.IsNull(r) {
			continue
		}
		switch c.Field.Type {
		case frame.Double:
			e[name], e[name+"@odata.type"] = c.Floats[r], "Edm.Double"
		case frame.Int32:
			e[name] = c.Ints[r]
		case frame.Int64:
			e[name], e[name+"@odata.type"] = strconv.FormatInt(c.Ints[r], 10), "Edm.Int64"
		case frame.Boolean:
			e[name] = c.Bools[r]
		case frame.DateTime:
			e[name], e[name+"@odata.type"] = time.UnixMicro(c.Ints[r]).UTC().Format("2006-01-02T15:04:05.000000Z"), "Edm.DateTime"
		default:
			e[name] = string(c.Print(w.cell[:0], r))
		}
	}
	return e
}
