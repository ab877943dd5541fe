package batch

import (
	"fmt"
	"slices"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
)

func TestList(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", small)
	var ids []string
	for range 5 {
		s := r.submission(body(""))
		s.IdempotencyKey = ""
		id, err := r.b.Submit(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		ids = append([]string{id}, ids...)
	}
	// A submission that died before its job was written, and one that lost to
	// a faster try of itself.
	if err := r.b.enlist(t.Context(), &job{ID: "dead", Workspace: ws, Endpoint: endpoint, Created: now()}); err != nil {
		t.Fatal(err)
	}
	if err := r.b.enlist(t.Context(), &job{ID: ids[0], Workspace: ws, Endpoint: endpoint, Created: now()}); err != nil {
		t.Fatal(err)
	}
	if err := r.b.Cancel(t.Context(), ws, endpoint, ids[1]); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 2, 5, 6} {
		var got []string
		after := ""
		for {
			p, err := r.b.List(t.Context(), ws, endpoint, after, limit, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Jobs) > limit {
				t.Fatalf("%d jobs where %d were asked for", len(p.Jobs), limit)
			}
			for _, j := range p.Jobs {
				got = append(got, j.ID)
				want := NotStarted
				if j.ID == ids[1] {
					want = Cancelled
				}
				if j.StatusCode != want || (j.Details != nil) != (want == Cancelled) || j.Deployment != digest {
					t.Errorf("%+v", j)
				}
			}
			if after = p.Next; after == "" {
				break
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("by %d: %v, not %v", limit, got, ids)
		}
	}
	if p, err := r.b.List(t.Context(), ws, "55555555555555555555555555555555", "", 10, ""); err != nil || len(p.Jobs) != 0 || p.Next != "" {
		t.Errorf("of another endpoint: %+v, %v", p, err)
	}
	if _, err := r.b.List(t.Context(), ws, endpoint, "a/b", 10, ""); !fault.Is(err, fault.BadArgument) {
		t.Errorf("a cursor that is none: %v", err)
	}
	if p, err := r.b.List(t.Context(), ws, endpoint, "", 10, Cancelled); err != nil || len(p.Jobs) != 1 || p.Jobs[0].ID != ids[1] || p.Next != "" {
		t.Errorf("the cancelled: %+v, %v", p, err)
	}
	if p, err := r.b.List(t.Context(), ws, endpoint, "", 2, NotStarted); err != nil || len(p.Jobs) != 2 || p.Jobs[1].ID != ids[2] {
		t.Errorf("two that were not started: %+v, %v", p, err)
	}
	for _, s := range []State{Waiting, "finished"} { // what clients do not see, or nobody knows
		if _, err := r.b.List(t.Context(), ws, endpoint, "", 10, s); !fault.Is(err, fault.BadArgument) {
			t.Errorf("state %s: %v", s, err)
		}
	}
}

// However few jobs of a state there are, a page looks at so many and no more.
func TestList_rare(t *testing.T) {
	r := newRig(t)
	for i := range maxPassed + 1 {
		j := &job{ID: fmt.Sprintf("%032x", i), Workspace: ws, Endpoint: endpoint, State: NotStarted, Created: now()}
		if i == 0 { // the oldest
			j.State = Failed
		}
		if err := r.b.enlist(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		if err := r.b.insert(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	p, err := r.b.List(t.Context(), ws, endpoint, "", 10, Failed)
	if err != nil || len(p.Jobs) != 0 || p.Next == "" {
		t.Fatalf("first page %+v, %v: want an empty one with a Next", p, err)
	}
	if p, err = r.b.List(t.Context(), ws, endpoint, p.Next, 10, Failed); err != nil || len(p.Jobs) != 1 || p.Next != "" {
		t.Errorf("second page %+v, %v", p, err)
	}
}
