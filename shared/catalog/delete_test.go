package catalog_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Deleting the newest version makes the one before it the newest, and no number
// is given twice while the name is there.
func TestDelete(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	save := func(name, text string) int {
		t.Helper()
		v, err := c.SaveDataset(ctx, ws, catalog.NewDataset{Name: name, Content: []byte("a\n" + text + "\n"), Format: "csv"}, ada)
		ok(t, err)
		return v.Number
	}
	for i, want := range []int{1, 2, 3} {
		if got := save("d", fmt.Sprint(i)); got != want {
			t.Fatalf("version %d, want %d", got, want)
		}
	}
	save("other", "1")
	newest := func() int {
		t.Helper()
		v, err := c.Saved(ctx, ws, service.Dataset, "d", 0)
		ok(t, err)
		return v.Number
	}
	ok(t, c.Delete(ctx, ws, service.Dataset, "d", 3, ada))
	ok(t, c.Delete(ctx, ws, service.Dataset, "d", 1, ada))
	if n := newest(); n != 2 {
		t.Errorf("the newest is %d, want 2", n)
	}
	want(t, c.Delete(ctx, ws, service.Dataset, "d", 1, ada), fault.NotFound, "DatasetNotFound", "no version 1")
	want(t, c.Delete(ctx, ws, service.Dataset, "D", 0, ada), fault.NotFound, "DatasetNotFound", "did you mean")
	want(t, c.Delete(ctx, ws, service.TrainedModel, "d", 0, ada), fault.NotFound, "TrainedModelNotFound", "no trained model")
	want(t, c.Delete(ctx, ws, "Evaluation", "d", 0, ada), fault.BadArgument, "BadParameterValue", "Evaluation")
	if n := save("d", "again"); n != 4 {
		t.Errorf("version %d, want 4: 3 was given before", n)
	}
	ok(t, c.Delete(ctx, ws, service.Dataset, "d", 4, ada))
	if n := save("d", "once more"); n != 5 {
		t.Errorf("version %d, want 5", n)
	}
	roots := map[string]bool{}
	ok(t, c.Roots(ctx, ws, func(d string) { roots[d] = d != "" }))
	ok(t, c.Delete(ctx, ws, service.Dataset, "d", 0, ben))
	_, err := c.Versions(ctx, ws, service.Dataset, "d")
	want(t, err, fault.NotFound, "DatasetNotFound", "no dataset")
	left := map[string]bool{}
	ok(t, c.Roots(ctx, ws, func(d string) { left[d] = d != "" }))
	if len(left) >= len(roots) || len(left) < 2 {
		t.Errorf("%d artifacts were referred to, %d are after the deletion", len(roots), len(left))
	}
	var told []string
	events, err := c.Audit(ctx, ws, "", 100)
	ok(t, err)
	for _, e := range events.Events {
		told = append(told, fmt.Sprintf("%s %s %d %s", e.Type, e.Subject, e.Version, e.By))
	}
	if d := cmp.Diff([]string{
		"dataset.deleted d 0 ben", "dataset.deleted d 4 Ada", "dataset.deleted d 1 Ada", "dataset.deleted d 3 Ada", "workspace.created Telecom 0 Ada",
	}, told); d != "" {
		t.Errorf("audit (-want +got):\n%s", d)
	}
}

// More versions than one write takes go, too.
func TestDelete_many(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	model := catalog.NewModel{Kind: service.Transformation, Name: "m"}
	for i := range 205 {
		model.Artifact = []byte(fmt.Sprint(i))
		_, err := c.SaveModel(ctx, ws, model, ada)
		ok(t, err)
	}
	ok(t, c.Delete(ctx, ws, service.Transformation, "m", 0, ada))
	list, err := c.List(ctx, ws, service.Transformation)
	ok(t, err)
	n := 0
	ok(t, c.Roots(ctx, ws, func(string) { n++ }))
	if len(list) != 0 || n != 0 {
		t.Errorf("%d names and %d artifacts are left", len(list), n)
	}
}

// Whoever saves and whoever deletes at once: what is there fits together.
func TestDelete_race(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	model := func(text string) {
		_, err := c.SaveModel(ctx, ws, catalog.NewModel{Kind: service.TrainedModel, Name: "m", Artifact: []byte(text)}, ada)
		if err != nil {
			t.Error(err)
		}
	}
	model("first")
	var wg sync.WaitGroup
	for i := range 4 { // nobody can lose all ten tries to the seven others
		wg.Go(func() { model(fmt.Sprint("text ", i)) })
		wg.Go(func() {
			if err := c.Delete(ctx, ws, service.TrainedModel, "m", 0, ada); err != nil && !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	newest, err := c.Saved(ctx, ws, service.TrainedModel, "m", 0)
	if fault.Is(err, fault.NotFound) {
		return
	}
	ok(t, err)
	all, err := c.Versions(ctx, ws, service.TrainedModel, "m")
	ok(t, err)
	if all[0].Number != newest.Number {
		t.Errorf("the newest is %d, the highest number is %d", newest.Number, all[0].Number)
	}
}

// meddlingTables lets somebody else act just before the next write.
type meddlingTables struct {
	storage.Tables
	before func()
}

func (m *meddlingTables) Apply(ctx context.Context, table, partition string, ops ...storage.Op) ([]string, error) {
	if f := m.before; f != nil {
		m.before = nil
		f()
	}
	return m.Tables.Apply(ctx, table, partition, ops...)
}

// What is deleted between a saver's reading and writing is saved anew, and what
// is deleted twice at once is gone for both.
func TestDelete_meanwhile(t *testing.T) {
	s := testStore(t)
	tables := &meddlingTables{Tables: s.Tables}
	c := catalog.New(tables, artifact.New(s.Blobs), testRing(t))
	ctx := t.Context()
	w, err := c.CreateWorkspace(ctx, catalog.NewWorkspace{Name: "w"}, ada)
	ok(t, err)
	save := func(text string) *catalog.Version {
		v, err := c.SaveModel(ctx, w.ID, catalog.NewModel{Kind: service.TrainedModel, Name: "m", Artifact: []byte(text)}, ada)
		ok(t, err)
		return v
	}
	remove := func() { ok(t, c.Delete(ctx, w.ID, service.TrainedModel, "m", 0, ben)) }
	save("first")
	tables.before = remove
	if v := save("second"); v.Number != 1 {
		t.Errorf("version %d, want the first of a name that was gone", v.Number)
	}
	tables.before = remove
	err = c.Delete(ctx, w.ID, service.TrainedModel, "m", 0, ada)
	want(t, err, fault.NotFound, "TrainedModelNotFound", "no trained model")
}

// Members, tokens, the workspace itself and experiments: each act is told once,
// by who did it, a page at a time, and nobody is taken for a member by it.
func TestAudit(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	name := "Telco"
	_, err := c.ChangeWorkspace(ctx, ws, catalog.WorkspaceChange{Name: &name}, ada)
	ok(t, err)
	ok(t, c.SetMember(ctx, ws, catalog.Member{Kind: catalog.Person, Issuer: ben.Issuer, Value: ben.Subject, Role: auth.Deployer}, ada))
	_, err = c.RegenerateToken(ctx, ws, auth.Secondary, ben)
	ok(t, err)
	ok(t, c.RemoveMember(ctx, ws, catalog.Person, ben.Issuer, ben.Subject, ada))
	want(t, c.RemoveMember(ctx, ws, catalog.Person, ben.Issuer, ben.Subject, ada), fault.NotFound, "MemberNotFound", "no member")
	x, err := c.CreateExperiment(ctx, ws, "churn", "", []byte(`{}`), ada)
	ok(t, err)
	ok(t, c.DeleteExperiment(ctx, ws, x.ID, x.Revision, ben))
	var told []string
	for before := ""; ; {
		page, err := c.Audit(ctx, ws, before, 2)
		ok(t, err)
		for _, e := range page.Events {
			if e.At.IsZero() || !service.ValidID(e.ID) {
				t.Errorf("event %+v", e)
			}
			told = append(told, strings.TrimSpace(fmt.Sprintf("%s: %s %s by %s", e.Type, e.Subject, e.Detail, e.By)))
		}
		if before = page.Next; before == "" {
			break
		}
	}
	if d := cmp.Diff([]string{
		"experiment.deleted: churn  by ben",
		"member.removed: person https://i|ben  by Ada",
		"token.regenerated: secondary  by ben",
		"member.set: person https://i|ben deployer by Ada",
		"workspace.changed: Telco  by Ada",
		"workspace.created: Telecom  by Ada",
	}, told); d != "" {
		t.Errorf("audit (-want +got):\n%s", d)
	}
	_, err = c.Audit(ctx, ws, "yesterday", 2)
	want(t, err, fault.BadArgument, "InvalidQueryParameter", "before")
	members, err := c.Members(ctx, ws)
	ok(t, err)
	if len(members) != 1 || !slices.ContainsFunc(members, func(m catalog.Member) bool { return m.Value == ada.Subject }) {
		t.Errorf("members %v", members)
	}
	list, err := c.Experiments(ctx, ws)
	ok(t, err)
	if len(list) != 0 {
		t.Errorf("experiments %v", list)
	}
}
