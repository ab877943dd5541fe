package doctor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Machine is an installation as the settings of its program make it.
type Machine struct {
	// Problems are the settings that cannot be used, each with its reason.
	Problems []string
	// Store is where everything lies; nil where the settings leave none.
	Store *storage.Store
	// Dir is the folder of the embedded store; empty with Azure Storage.
	Dir string
	// Keys are the names of the master keys, the current one first, and Ring
	// holds them against what the store was made with.
	Keys []string
	Ring func(context.Context) error
	// Queues are those that the program drains.
	Queues []string
}

// Check looks at everything that can be looked at.
func (m *Machine) Check(ctx context.Context) []Check {
	var c checkup
	for _, p := range m.Problems {
		c.add("setting", Failed, "%s", p)
	}
	if len(m.Problems) == 0 {
		c.add("settings", OK, "all can be used")
	}
	if m.Store == nil {
		c.add("storage", Skipped, "the settings leave no storage to look at")
		return c
	}
	m.blobs(ctx, &c)
	c.try(ctx, "tables", m.tables)
	c.try(ctx, "queues", m.queue)
	if m.Ring == nil {
		c.add("master keys", Skipped, "the settings have none")
	} else {
		c.try(ctx, "master keys", func(ctx context.Context) (string, error) {
			return "current " + m.Keys[0] + ", of " + strings.Join(m.Keys, ", "), m.Ring(ctx)
		})
	}
	for _, q := range m.Queues {
		m.depth(ctx, &c, q)
	}
	if m.Dir != "" {
		m.disk(&c)
	}
	return c
}

// probe is what is written to see whether it comes back.
var probe = []byte("portico doctor")

func (m *Machine) blobs(ctx context.Context, c *checkup) {
	for _, at := range []struct {
		name  string
		blobs storage.Blobs
	}{{storage.Container, m.Store.Blobs}, {storage.DropDoneContainer, m.Store.DropDone}} {
		var ahead time.Duration
		ok := c.try(ctx, "blobs in "+at.name, func(ctx context.Context) (string, error) {
			var err error
			ahead, err = roundTrip(ctx, at.blobs)
			return "written, read, listed, deleted", err
		})
		if ok && at.name == storage.Container {
			if m.Dir != "" {
				c.add("storage clock", OK, "it is this machine's")
			} else {
				c.clock("storage clock", ahead)
			}
		}
	}
	c.try(ctx, "blobs in "+storage.DropContainer, func(ctx context.Context) (string, error) {
		for _, err := range m.Store.Drop.List(ctx, "doctor/") {
			if err != nil {
				return "", err
			}
		}
		return "listed", nil
	})
}

// roundTrip takes a blob through its life, and says how far the clock of the
// storage is ahead.
func roundTrip(ctx context.Context, b storage.Blobs) (ahead time.Duration, err error) {
	key := "doctor/" + service.NewID()
	defer func() { // whatever else fails, and whoever has lost patience
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		if gone := b.Delete(end, key, storage.Condition{}); gone != nil && err == nil {
			err = fault.Wrap(gone, fault.Unavailable, "delete a blob")
		}
	}()
	before := time.Now()
	if _, err := b.Put(ctx, key, probe, nil, storage.Condition{IfAbsent: true}); err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "write a blob")
	}
	after := time.Now()
	info, r, err := b.Get(ctx, key, storage.ReadOptions{})
	if err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "read a blob")
	}
	got, err := io.ReadAll(r)
	r.Close()
	if err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "read a blob")
	}
	if !bytes.Equal(got, probe) {
		return 0, fault.New(fault.Unavailable, "", "a blob of %d bytes came back as %d other bytes", len(probe), len(got))
	}
	listed := false
	for i, err := range b.List(ctx, key) {
		if err != nil {
			return 0, fault.Wrap(err, fault.Unavailable, "list blobs")
		}
		listed = listed || i.Key == key
	}
	if !listed {
		return 0, fault.New(fault.Unavailable, "", "a blob that was written is not listed")
	}
	return beyond(info.Modified, before, after), nil
}

// beyond is how far a time in whole seconds lies outside of what it may be.
func beyond(t, before, after time.Time) time.Duration {
	switch {
	case t.After(after):
		return t.Sub(after)
	case t.Add(time.Second).Before(before):
		return t.Add(time.Second).Sub(before)
	}
	return 0
}

func (m *Machine) tables(ctx context.Context) (detail string, err error) {
	const table, partition = "catalog", "doctor"
	row, t := service.NewID(), m.Store.Tables
	fail := func(err error, op string) (string, error) { return "", fault.Wrap(err, fault.Unavailable, op) }
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		_, gone := t.Apply(end, table, partition, storage.Op{Kind: storage.Delete, Row: row, IfMatch: storage.AnyETag})
		if gone != nil && err == nil {
			detail, err = fail(gone, "delete a row")
		}
	}()
	if _, err := t.Apply(ctx, table, partition, storage.Op{Kind: storage.Insert, Row: row, Props: storage.Props{"n": int64(1)}}); err != nil {
		return fail(err, "insert a row")
	}
	e, err := t.Get(ctx, table, partition, row)
	if err != nil {
		return fail(err, "read a row")
	}
	if _, err := t.Apply(ctx, table, partition, storage.Op{Kind: storage.Replace, Row: row, IfMatch: e.ETag, Props: storage.Props{"n": int64(2)}}); err != nil {
		return fail(err, "change a row")
	}
	listed := false
	for e, err := range t.Query(ctx, table, partition, storage.Prefix(row)) {
		if err != nil {
			return fail(err, "query rows")
		}
		listed = listed || e.Row == row && e.Props.Int("n") == 2
	}
	if !listed {
		return fail(fault.New(fault.Unavailable, "", "the row is not there as it was written"), "query rows")
	}
	return "a row inserted, read, changed, queried, deleted", nil
}

func (m *Machine) queue(ctx context.Context) (string, error) {
	const queue = "doctor"
	q := m.Store.Queues
	if err := q.Send(ctx, queue, probe, 0); err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "send a message")
	}
	// An earlier message of ours may still be about: all are taken away.
	taken := 0
	for ctx.Err() == nil {
		ms, err := q.Receive(ctx, queue, 32, time.Minute)
		if err != nil {
			return "", fault.Wrap(err, fault.Unavailable, "receive a message")
		}
		for _, message := range ms {
			if err := q.Delete(ctx, queue, message); err != nil {
				return "", fault.Wrap(err, fault.Unavailable, "delete a message")
			}
			taken++
		}
		if len(ms) == 0 && taken > 0 {
			return "a message sent, received, deleted", nil
		}
		if len(ms) == 0 {
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return "", ctx.Err()
}

// depth tells how much work waits, and whether some was given up.
func (m *Machine) depth(ctx context.Context, c *checkup, queue string) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	waiting, err := m.Store.Queues.Depth(ctx, queue)
	if err != nil {
		c.add("queue "+queue, Failed, "%s", explain(err))
		return
	}
	poisoned, err := m.Store.Queues.Depth(ctx, queue+"-poison")
	if err != nil {
		c.add("queue "+queue, Failed, "%s", explain(err))
		return
	}
	kept := 0
	for _, err := range m.Store.Blobs.List(ctx, "poison/"+queue+"/") {
		if err != nil {
			c.add("queue "+queue, Failed, "%s", explain(err))
			return
		}
		if kept++; kept == maxKept {
			break
		}
	}
	state, detail := OK, fmt.Sprintf("%d waiting", waiting)
	if poisoned > 0 {
		state, detail = Warning, detail+fmt.Sprintf(", %d poisoned", poisoned)
	}
	if kept > 0 {
		state, detail = Warning, detail+fmt.Sprintf(", %s given up and kept as blobs poison/%s/", count(kept), queue)
	}
	c.add("queue "+queue, state, "%s", detail)
}

// maxKept bounds how many messages given up are counted.
const maxKept = 1000

func count(n int) string {
	if n == maxKept {
		return fmt.Sprintf("%d or more", n)
	}
	return fmt.Sprint(n)
}

// Free space of the embedded store's disk below which a job may not end.
const (
	diskWarning = 2 << 30
	diskFailure = 128 << 20
)

func (m *Machine) disk(c *checkup) {
	free, ok := freeBytes(m.Dir)
	if !ok {
		c.add("disk", Skipped, "the free space of this system cannot be asked")
		return
	}
	state := OK
	switch {
	case free < diskFailure:
		state = Failed
	case free < diskWarning:
		state = Warning
	}
	c.add("disk", state, "%s free", size(free))
}

func size(n uint64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
