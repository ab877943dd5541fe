package runs_test

import (
	"slices"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/garbage"
)

// Old runs go, but for the last successful one of an experiment that is there;
// of one that was deleted all of them.
func TestForget(t *testing.T) {
	b, id := smallBench(t)
	first, second := b.run(id), b.run(id)
	third, err := b.runs.Start(t.Context(), b.ws, id, "ada") // under way
	if err != nil {
		t.Fatal(err)
	}
	forget := func(age time.Duration, dry bool) (names []string) {
		t.Helper()
		for _, part := range "0123456789abcdef" {
			if err := b.runs.Forget(age)(t.Context(), b.ws, string(part), dry, func(it garbage.Item) { names = append(names, it.Name) }); err != nil {
				t.Fatal(err)
			}
		}
		return names
	}
	const over = -time.Hour // as if the clock stood an hour on
	if got := forget(time.Hour, false); got != nil {
		t.Fatalf("%v went within their time", got)
	}
	for _, dry := range []bool{true, false} {
		if got := forget(over, dry); !slices.Equal(got, []string{first.ID}) {
			t.Fatalf("dry %v: %v went, want %s", dry, got, first.ID)
		}
	}
	if _, err := b.runs.Get(t.Context(), b.ws, first.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a forgotten run: %v", err)
	}
	for _, run := range []string{second.ID, third.ID} {
		if _, err := b.runs.Get(t.Context(), b.ws, run); err != nil {
			t.Errorf("a run that is kept: %v", err)
		}
	}
	list, err := b.runs.List(t.Context(), b.ws, id, 10)
	if err != nil || len(list) != 2 {
		t.Errorf("%d runs are listed, %v", len(list), err)
	}
	x, err := b.catalog.Experiment(t.Context(), b.ws, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.catalog.DeleteExperiment(t.Context(), b.ws, id, x.Revision, auth.Identity{Issuer: "https://i", Subject: "ada"}); err != nil {
		t.Fatal(err)
	}
	if got := forget(over, false); !slices.Equal(got, []string{second.ID}) {
		t.Errorf("of a deleted experiment %v went, want %s", got, second.ID)
	}
	if got := forget(over, false); got != nil {
		t.Errorf("%v went once more", got)
	}
}
