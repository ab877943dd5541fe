package runs_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/runs"
)

func TestCompare(t *testing.T) {
	b, id := smallBench(t)
	first := b.run(id)
	if d, err := b.runs.Compare(t.Context(), b.ws, first.ID, b.run(id).ID); err != nil || len(d.Nodes)+len(d.Edges[0])+len(d.Edges[1])+len(d.Assets) > 0 {
		t.Errorf("two runs of one document differ: %+v %v", d, err)
	}
	b.edit(id, []byte(strings.Replace(small, `argument":2`, `argument":3`, 1)))
	b.dataset("numbers", []byte("a,b\n1,x\n,y\n3,z\n4,z\n"))
	second := b.run(id)
	if second.State != runs.Finished {
		t.Fatalf("%s: %+v", second.State, second.Error)
	}
	d, err := b.runs.Compare(t.Context(), b.ws, first.ID, second.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Nodes) == 0 || d.Runs[0].ID != first.ID || d.Runs[1].ID != second.ID {
		t.Fatalf("comparison: %+v", d)
	}
	n := d.Nodes[slices.IndexFunc(d.Nodes, func(n runs.NodeDifference) bool { return n.ID == "twice" })]
	if len(d.Nodes) != 3 || d.Assets["d"][1].Number != 2 || len(n.Parameters) != 1 || len(n.Results) != 1 || n.Results[0].Tables[0] == nil || n.Results[0].Tables[1] == nil {
		body, _ := json.MarshalIndent(d, "", " ")
		t.Errorf("the changed node: %s", body)
	}
	if _, err := b.runs.Compare(t.Context(), b.ws, first.ID, "0123456789abcdef0123456789abcdef"); err == nil {
		t.Error("a run that is not there was compared")
	}
}
