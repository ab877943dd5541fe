package catalog_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
)

func TestVersions(t *testing.T) {
	c, ws := testCatalog(t)
	ctx := t.Context()
	save := func(name, body, record string) *catalog.Version {
		t.Helper()
		v, err := c.SaveModel(ctx, ws, catalog.NewModel{
			Kind: service.TrainedModel, Name: name, Artifact: []byte(body), Original: []byte("orig " + body), Format: "xgboost", Record: []byte(record), Unverified: true,
		}, ada)
		ok(t, err)
		return v
	}
	v1 := save("churn", "one", `{"auc":0.9}`)
	if v1.Number != 1 || v1.Digest != artifact.Digest([]byte("one")) || v1.Kind != service.TrainedModel || !v1.Unverified || v1.Bytes != int64(len("orig one")) {
		t.Errorf("first version %+v", v1)
	}
	for digest, body := range map[string]string{v1.Digest: "one", v1.Original: "orig one", v1.Record: `{"auc":0.9}`} {
		if got, err := c.Artifact(ctx, ws, digest); string(got) != body || err != nil {
			t.Errorf("artifact %q, %v; want %q", got, err, body)
		}
	}
	// A repeated save (the host sends some calls twice) makes no new version.
	if again := save("churn", "one", `{"auc":0.9}`); cmp.Diff(v1, again) != "" {
		t.Error(cmp.Diff(v1, again))
	}
	v2 := save("churn", "two", `{}`)
	v3 := save("churn", "one", `{"auc":0.9}`) // back to the first: a new version all the same
	save("Alpha", "x", `{}`)
	if v2.Number != 2 || v3.Number != 3 || v3.Digest != v1.Digest {
		t.Errorf("versions %+v %+v", v2, v3)
	}

	list, err := c.List(ctx, ws, service.TrainedModel)
	ok(t, err)
	if len(list) != 2 || list[0].Name != "Alpha" || list[1].Number != 3 {
		t.Errorf("list %+v", list)
	}
	versions, err := c.Versions(ctx, ws, service.TrainedModel, "churn")
	ok(t, err)
	if d := cmp.Diff([]*catalog.Version{v3, v2, v1}, versions); d != "" {
		t.Error(d)
	}
	for number, want := range []*catalog.Version{v3, v1, v2, v3} {
		v, err := c.Saved(ctx, ws, service.TrainedModel, "churn", number)
		if d := cmp.Diff(want, v); err != nil || d != "" {
			t.Errorf("version %d: %v %s", number, err, d)
		}
	}
	for _, tt := range []struct {
		kind       service.PortKind
		name       string
		number     int
		fault      fault.Kind
		code, text string
	}{
		{service.TrainedModel, "churn", 4, fault.NotFound, "TrainedModelNotFound", `"churn" has no version 4: its newest is 3`},
		{service.TrainedModel, "Churn", 0, fault.NotFound, "TrainedModelNotFound", `did you mean "churn"?`},
		{service.TrainedModel, "tariff", 1, fault.NotFound, "TrainedModelNotFound", `no trained model is called "tariff"`},
		{service.Transformation, "churn", 0, fault.NotFound, "TransformationNotFound", "no transformation"},
		{service.Dataset, "churn", 0, fault.NotFound, "DatasetNotFound", "no dataset"},
		{service.UntrainedModel, "churn", 0, fault.BadArgument, "BadParameterValue", "one of Dataset"},
	} {
		_, err := c.Saved(ctx, ws, tt.kind, tt.name, tt.number)
		want(t, err, tt.fault, tt.code, tt.text)
	}
	_, err = c.Versions(ctx, ws, service.TrainedModel, "tariff")
	want(t, err, fault.NotFound, "TrainedModelNotFound", "tariff")
	_, err = c.Artifact(ctx, service.NewID(), v1.Digest)
	want(t, err, fault.Internal, "", "is gone") // artifacts are a workspace's own
}

func TestParseNumber(t *testing.T) {
	for text, n := range map[string]int{"": 0, "latest": 0, "1": 1, "42": 42} {
		if got, err := catalog.ParseNumber(text); got != n || err != nil {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	for _, bad := range []string{"0", "-1", "newest", "1.0", " 1", "99999999999999999999", "99999999"} {
		_, err := catalog.ParseNumber(bad)
		want(t, err, fault.BadArgument, "BadParameterValue", "a number from 1")
	}
}

// Savers at once get one number each, without a gap.
func TestVersionRace(t *testing.T) {
	c, ws := testCatalog(t)
	const n = 8 // nobody can lose all ten tries to the others
	numbers := make([]int, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			v, err := c.SaveModel(t.Context(), ws, catalog.NewModel{Kind: service.Transformation, Name: "bins", Artifact: []byte{byte(i)}}, ada)
			if err != nil {
				t.Error(err)
				return
			}
			numbers[i] = v.Number
		})
	}
	wg.Wait()
	seen := make([]bool, n+1)
	for i, num := range numbers {
		if num < 1 || num > n || seen[num] {
			t.Fatalf("numbers %v", numbers)
		}
		seen[num] = true
		v, err := c.Saved(t.Context(), ws, service.Transformation, "bins", num)
		ok(t, err)
		if v.Digest != artifact.Digest([]byte{byte(i)}) {
			t.Errorf("version %d holds another's artifact", num)
		}
	}
	if latest, err := c.Saved(t.Context(), ws, service.Transformation, "bins", 0); err != nil || latest.Number != n {
		t.Errorf("latest %+v, %v", latest, err)
	}
}
