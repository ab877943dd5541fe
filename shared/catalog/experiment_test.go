package catalog_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
)

func TestExperiments(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	doc := json.RawMessage("{ \"nodes\": {\"a\": {\"x\": 1.50}},\n \"edges\": [] }")
	x, err := c.CreateExperiment(ctx, ws, "Churn", "who leaves", doc, ada)
	ok(t, err)
	const compact = `{"nodes":{"a":{"x":1.50}},"edges":[]}`
	if string(x.Doc) != compact || x.DocDigest != artifact.Digest([]byte(compact)) || x.Revision == "" {
		t.Errorf("created %+v", x)
	}
	got, err := c.Experiment(ctx, ws, x.ID)
	ok(t, err)
	if d := cmp.Diff(x, got, cmpopts.IgnoreUnexported(catalog.Experiment{})); d != "" {
		t.Error(d)
	}

	name := "Churn 2"
	y, err := c.ChangeExperiment(ctx, ws, x.ID, x.Revision, catalog.ExperimentChange{Name: &name}, ben)
	ok(t, err)
	if y.Name != name || y.Description != "who leaves" || y.DocDigest != x.DocDigest || string(y.Doc) != compact || y.Revision == x.Revision || y.By.ID != ben.Key() {
		t.Errorf("renamed %+v", y)
	}
	// Whoever still holds the old revision is told who was faster.
	_, err = c.ChangeExperiment(ctx, ws, x.ID, x.Revision, catalog.ExperimentChange{Doc: json.RawMessage(`{}`)}, ada)
	want(t, err, fault.Conflict, "RevisionChanged", "ben changed the experiment at ")
	want(t, c.DeleteExperiment(ctx, ws, x.ID, x.Revision, ada), fault.Conflict, "RevisionChanged", "ben changed")
	_, err = c.ChangeExperiment(ctx, ws, x.ID, "", catalog.ExperimentChange{}, ada)
	want(t, err, fault.BadArgument, "RevisionRequired", "If-Match")

	z, err := c.ChangeExperiment(ctx, ws, x.ID, y.Revision, catalog.ExperimentChange{Doc: json.RawMessage(`{"nodes":{}}`)}, ada)
	ok(t, err)
	if z.DocDigest == x.DocDigest {
		t.Error("another document has the same digest")
	}
	// The same document, written otherwise, is the same.
	z2, err := c.ChangeExperiment(ctx, ws, x.ID, z.Revision, catalog.ExperimentChange{Doc: json.RawMessage("{\n\"nodes\" : { } }\n")}, ada)
	ok(t, err)
	if z2.DocDigest != z.DocDigest {
		t.Error("blanks change the digest of a document")
	}

	cp, err := c.CopyExperiment(ctx, ws, x.ID, "", ben)
	ok(t, err)
	if cp.ID == x.ID || cp.Name != "Churn 2 - copy" || cp.DocDigest != z.DocDigest {
		t.Errorf("copy %+v", cp)
	}
	list, err := c.Experiments(ctx, ws)
	ok(t, err)
	if len(list) != 2 || list[0].ID != cp.ID || list[0].Doc != nil {
		t.Errorf("list %+v", list)
	}

	ok(t, c.DeleteExperiment(ctx, ws, x.ID, z2.Revision, ada))
	_, err = c.Experiment(ctx, ws, x.ID)
	want(t, err, fault.NotFound, "ExperimentNotFound", "does not exist")
	want(t, c.DeleteExperiment(ctx, ws, x.ID, z2.Revision, ada), fault.NotFound, "ExperimentNotFound", "does not exist")

	// Another workspace's experiment does not exist.
	other, err := c.CreateWorkspace(ctx, catalog.NewWorkspace{Name: "Other"}, ada)
	ok(t, err)
	for _, id := range []string{cp.ID, "x", "", "../" + ws + ".experiments/" + cp.ID} {
		_, err = c.Experiment(ctx, other.ID, id)
		want(t, err, fault.NotFound, "ExperimentNotFound", "does not exist")
	}

	for _, tt := range []struct {
		doc  string
		kind fault.Kind
		text string
	}{
		{"", fault.BadArgument, "must be a JSON object"},
		{"[]", fault.BadArgument, "must be a JSON object"},
		{"null", fault.BadArgument, "must be a JSON object"},
		{`{"a":}`, fault.BadArgument, "must be a JSON object"},
		{`{} {}`, fault.BadArgument, "must be a JSON object"},
		{`{"a":"` + strings.Repeat("x", catalog.MaxExperimentBytes) + `"}`, fault.TooLarge, "at most 4194304"},
	} {
		_, err := c.CreateExperiment(ctx, ws, "x", "", json.RawMessage(tt.doc), ada)
		if e := fault.Of(err); e == nil || e.Kind != tt.kind || !strings.Contains(e.Msg, tt.text) || e.Target != "document" {
			t.Errorf("document %.20s: err %v", tt.doc, err)
		}
	}
}

// Of many who write on one revision exactly one wins.
func TestExperimentRace(t *testing.T) {
	c, ws := testCatalog(t)
	x, err := c.CreateExperiment(t.Context(), ws, "Churn", "", json.RawMessage(`{}`), ada)
	ok(t, err)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			doc := json.RawMessage(fmt.Sprintf(`{"by":%d}`, i))
			_, errs[i] = c.ChangeExperiment(t.Context(), ws, x.ID, x.Revision, catalog.ExperimentChange{Doc: doc}, ada)
		})
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won < 0:
			won = i
		case err == nil:
			t.Errorf("%d and %d both won", won, i)
		case !fault.HasCode(err, "RevisionChanged"):
			t.Error(err)
		}
	}
	got, err := c.Experiment(t.Context(), ws, x.ID)
	ok(t, err)
	if string(got.Doc) != fmt.Sprintf(`{"by":%d}`, won) {
		t.Errorf("document %s, winner %d", got.Doc, won)
	}
}
