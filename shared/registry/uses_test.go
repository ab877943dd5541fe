package registry_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/registry/registrytest"
	"github.com/portico-ml/portico/shared/service"
)

// Endpoints use what they serve, promotions what they would: not what was
// served before.
func TestUses(t *testing.T) {
	w := registrytest.New(t)
	files := artifact.New(w.Store.Blobs)
	model := func(text string) service.Asset {
		d, err := files.Put(t.Context(), registrytest.Workspace, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return service.Asset{Name: "m", Kind: service.TrainedModel, Digest: d}
	}
	one, two := model("one"), model("two")
	uses := func(a service.Asset) []string {
		t.Helper()
		got, err := w.Registry.Uses(t.Context(), registrytest.Workspace, func(d string) bool { return d == a.Digest })
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		return got
	}
	p := w.Publish(t, "one", one)
	name := p.Service.Name
	staged := []string{`endpoint staging of service "` + name + `"`}
	if d := cmp.Diff(staged, uses(one)); d != "" {
		t.Errorf("published: %s", d)
	}
	w.Promote(t, p)
	both := append([]string{`endpoint default of service "` + name + `"`}, staged...)
	if d := cmp.Diff(both, uses(one)); d != "" {
		t.Errorf("promoted: %s", d)
	}
	w.Publish(t, "two", two)
	if d := cmp.Diff(both[:1], uses(one)); d != "" {
		t.Errorf("another on staging: %s", d)
	}
	if d := cmp.Diff(staged, uses(two)); d != "" {
		t.Errorf("the other: %s", d)
	}
	if got := uses(service.Asset{Digest: "nobody's"}); got != nil {
		t.Errorf("%v use nothing", got)
	}
}
