package rrs

import (
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

func TestInstances(t *testing.T) {
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	old := time.Now().UTC()
	for row, age := range map[string]time.Duration{"late": liveFor + time.Second, "dead": deadFor + time.Second} {
		if _, err := st.Tables.Apply(t.Context(), instancesTable, instancesPartition, storage.Op{
			Kind: storage.Upsert, Row: row, Props: storage.Props{"seen": old.Add(-age)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	var all []*Instances
	for i := range 3 {
		in := NewInstances(st.Tables, nil)
		in.running = true // the loop is another test's
		if err := in.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := in.Live(); got != i+1 {
			t.Errorf("instance %d counts %d", i, got)
		}
		all = append(all, in)
	}
	if err := all[0].renew(t.Context()); err != nil || all[0].Live() != 3 {
		t.Errorf("%d live, %v", all[0].Live(), err)
	}
	if _, err := st.Tables.Get(t.Context(), instancesTable, instancesPartition, "late"); err != nil {
		t.Errorf("a late instance was removed: %v", err)
	}
	if _, err := st.Tables.Get(t.Context(), instancesTable, instancesPartition, "dead"); err == nil {
		t.Error("a dead instance was not removed")
	}
	// While storage is away the last count stands.
	broken := faulty.New(st.Store)
	all[0].tables = broken.Tables
	broken.Plan(faulty.Nth(1, faulty.CrashBefore))
	if err := all[0].renew(t.Context()); err == nil || all[0].Live() != 3 {
		t.Errorf("%d live, %v", all[0].Live(), err)
	}
}

// TestInstancesShareALimit: four processes of a limit of four take one each.
func TestInstancesShareALimit(t *testing.T) {
	a := newApp(t, Options{Live: func() int { return 5 }})
	for _, body := range []string{"held", "free"} {
		if body == "held" {
			if _, ok := a.fn.limits.enter(t.Context(), a.tariff.Staging.ID, 1); !ok {
				t.Fatal("no place")
			}
			for range 3 { // of the share of ⌈20/5⌉
				a.fn.limits.m[a.tariff.Staging.ID].inside++
			}
		} else {
			a.fn.limits.leave(a.tariff.Staging.ID)
		}
		rec := a.post(a.tariff, "/execute", `{"Inputs":{"input1":[]}}`)
		if throttled := strings.Contains(rec.Body.String(), "The maximum concurrency for the endpoint is 4."); throttled != (body == "held") {
			t.Errorf("with a place %s: %s", body, rec.Body)
		}
	}
}

// TestInstancesStart: the first call starts the count, which then goes on by
// itself.
func TestInstancesStart(t *testing.T) {
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Tables.Apply(t.Context(), instancesTable, instancesPartition, storage.Op{
		Kind: storage.Upsert, Row: service.NewID(), Props: storage.Props{"seen": time.Now().UTC()},
	}); err != nil {
		t.Fatal(err)
	}
	in := NewInstances(st.Tables, nil)
	for in.Live() != 2 { // ends when the other is seen; go test's own limit is the only one
		time.Sleep(time.Millisecond)
	}
}
