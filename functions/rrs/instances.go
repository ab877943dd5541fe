package rrs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// How instances keep count of each other.
const (
	renewEvery  = 10 * time.Second
	liveFor     = 30 * time.Second // since the last renewal
	deadFor     = 10 * time.Minute // then the row is removed
	idleFor     = time.Minute      // without a call an instance stops renewing
	renewWithin = 5 * time.Second
)

// Rows of instances, in table "usage": partition "instances", row {instance},
// with the time of the last renewal. Everybody reads the partition whole.
const (
	instancesTable     = "usage"
	instancesPartition = "instances"
)

// Instances counts the processes that serve calls, so that each can take its
// share of an endpoint's limit. It reads and writes storage off the path of
// calls; while storage cannot be reached the last count stands.
type Instances struct {
	tables storage.Tables
	log    *slog.Logger
	id     string

	mu      sync.Mutex
	live    int
	used    time.Time // of the last call
	running bool
}

// NewInstances returns a count over t; log may be nil.
func NewInstances(t storage.Tables, log *slog.Logger) *Instances {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Instances{tables: t, log: log, id: service.NewID(), live: 1}
}

// Live returns the number of live processes, this one included. The first call
// begins to count and answers 1.
func (in *Instances) Live() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.used = time.Now()
	if !in.running {
		in.running = true
		go in.loop()
	}
	return in.live
}

// loop renews this instance's row while there are calls.
func (in *Instances) loop() {
	ctx := context.Background()
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		if err := in.renew(ctx); err != nil {
			in.log.WarnContext(ctx, "instances not counted", "error", err)
		}
		<-tick.C
		in.mu.Lock()
		if time.Since(in.used) > idleFor {
			in.running, in.live = false, 1
			in.mu.Unlock()
			return
		}
		in.mu.Unlock()
	}
}

func (in *Instances) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewWithin)
	defer cancel()
	now := time.Now().UTC()
	if _, err := in.tables.Apply(ctx, instancesTable, instancesPartition, storage.Op{
		Kind: storage.Upsert, Row: in.id, Props: storage.Props{"seen": now},
	}); err != nil {
		return err
	}
	live := 0
	var dead []storage.Op
	for e, err := range in.tables.Query(ctx, instancesTable, instancesPartition, storage.Range{}) {
		if err != nil {
			return err
		}
		switch age := now.Sub(e.Props.Time("seen")); {
		case age <= liveFor:
			live++
		case age > deadFor && len(dead) < storage.MaxApplyOps:
			dead = append(dead, storage.Op{Kind: storage.Delete, Row: e.Row, IfMatch: e.ETag})
		}
	}
	in.mu.Lock()
	in.live = max(1, live)
	in.mu.Unlock()
	if len(dead) > 0 {
		// Another instance may have been quicker; the next round tells.
		in.tables.Apply(ctx, instancesTable, instancesPartition, dead...) //nolint:errcheck // see above
	}
	return nil
}
