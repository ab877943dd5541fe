package registry

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// memTables is tables in memory, for tests in a bubble of false time. It
// counts reads, and can be cut off.
type memTables struct {
	mu    sync.Mutex
	rows  map[string]storage.Entity // table/partition/row
	tag   int
	reads int
	down  bool
	slow  time.Duration
}

func newMemTables() *memTables { return &memTables{rows: map[string]storage.Entity{}} }

func (m *memTables) begin() error {
	m.mu.Lock()
	slow := m.slow
	m.mu.Unlock()
	time.Sleep(slow)
	m.mu.Lock()
	if m.down {
		m.mu.Unlock()
		return fault.New(fault.Unavailable, "", "storage is down")
	}
	return nil
}

func (m *memTables) Get(_ context.Context, table, partition, row string) (storage.Entity, error) {
	m.mu.Lock()
	m.reads++
	m.mu.Unlock()
	if err := m.begin(); err != nil {
		return storage.Entity{}, err
	}
	defer m.mu.Unlock()
	e, ok := m.rows[table+"/"+partition+"/"+row]
	if !ok {
		return e, fault.New(fault.NotFound, "", "no row %s", row)
	}
	e.Props = maps.Clone(e.Props)
	return e, nil
}

func (m *memTables) Apply(_ context.Context, table, partition string, ops ...storage.Op) ([]string, error) {
	if err := m.begin(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, op := range ops {
		e, ok := m.rows[table+"/"+partition+"/"+op.Row]
		switch {
		case op.Kind == storage.Insert && ok:
			return nil, fault.New(fault.Conflict, storage.CodeExists, "row %s exists", op.Row)
		case (op.Kind == storage.Replace || op.Kind == storage.Delete) && !ok:
			return nil, fault.New(fault.NotFound, "", "no row %s", op.Row)
		case op.IfMatch != "" && op.IfMatch != storage.AnyETag && op.IfMatch != e.ETag:
			return nil, fault.New(fault.Conflict, storage.CodeCondition, "row %s changed", op.Row)
		}
	}
	tags := make([]string, len(ops))
	for i, op := range ops {
		key := table + "/" + partition + "/" + op.Row
		if op.Kind == storage.Delete {
			delete(m.rows, key)
			continue
		}
		m.tag++
		tags[i] = fmt.Sprint(m.tag)
		m.rows[key] = storage.Entity{Partition: partition, Row: op.Row, ETag: tags[i], Props: maps.Clone(op.Props)}
	}
	return tags, nil
}

func (m *memTables) Query(_ context.Context, table, partition string, r storage.Range) iter.Seq2[storage.Entity, error] {
	return func(yield func(storage.Entity, error) bool) {
		if err := m.begin(); err != nil {
			yield(storage.Entity{}, err)
			return
		}
		var found []storage.Entity
		for key, e := range m.rows {
			if strings.HasPrefix(key, table+"/"+partition+"/") && e.Row >= r.From && (r.To == "" || e.Row < r.To) {
				found = append(found, e)
			}
		}
		m.mu.Unlock()
		slices.SortFunc(found, func(a, b storage.Entity) int { return strings.Compare(a.Row, b.Row) })
		for _, e := range found {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (m *memTables) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}
