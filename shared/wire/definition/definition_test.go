package definition

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

var update = flag.Bool("update", false, "write the golden file anew")

// income is a deployment with a model, two modules of one kind and one of a
// release to come, and a parameter with and without a default.
func income() *service.Manifest {
	half := "0.5"
	return &service.Manifest{
		Format: 1,
		Graph: json.RawMessage(`{"nodes":{
			"clean":{"module":"Select Columns in Dataset","parameters":{"Select columns":"age,workclass"}},
			"in":{"inputId":"input1"},"later":{"module":"A Module to Come","codeVersion":3},"model":{"assetId":"asset1"},"out":{"outputId":"output1"},
			"score":{"module":"Score Model","parameters":{}},"select":{"module":"Select Columns in Dataset","parameters":{"Select columns":"Scored Labels"}}},
			"edges":[{"sourceNodeId":"in","targetNodeId":"clean"},{"sourceNodeId":"model","targetNodeId":"score","targetPortId":"Trained model"},
			{"sourceNodeId":"score","sourcePortId":"Scored dataset","targetNodeId":"select"},{"sourceNodeId":"select","targetNodeId":"out"}],
			"assets":{"asset1":{"type":"Resource","kind":"TrainedModel"}},
			"graphParameters":{"threshold":{"type":"Double","description":"where to cut","default":"0.5","links":[{"nodeId":"score","parameterKey":"t"}]},"unused":{"type":"String"}}}`),
		Assets: []service.Asset{{Name: "asset1", Kind: service.TrainedModel, Digest: "d1", Resource: "Adult model [trained model]"}, {Name: "module1", Kind: service.Transformation, Digest: "d2"}},
		Inputs: []service.Port{{Name: "input1", Schema: frame.Schema{
			{Name: "workclass", Levels: []string{"Private", "State-gov"}, Nullable: true},
			{Name: "age", Type: frame.Int32},
			{Name: "account", Type: frame.Int64},
			{Name: "hours", Type: frame.Double},
			{Name: "member", Type: frame.Boolean},
			{Name: "since", Type: frame.DateTime},
			{Name: "income", Role: frame.Label, Optional: true, Nullable: true},
		}}},
		Outputs: []service.Port{
			{Name: "output1", Schema: frame.Schema{{Name: "workclass", Levels: []string{"Private"}}, {Name: "Scored Labels", Levels: []string{"<=50K", ">50K"}, Role: frame.Score}}},
			{Name: "model", Kind: service.TrainedModel},
		},
		Parameters: []service.Parameter{{Name: "threshold", Type: service.ParamDouble, Default: &half}, {Name: "mode", Type: service.ParamEnum, Options: []string{"fast", "slow"}}},
	}
}

func adult() Service {
	table, trained := module.Port{ID: "Dataset", Kind: service.Dataset}, module.Port{ID: "Trained model", Kind: service.TrainedModel}
	nothing := func(*module.Binding) (*module.Bound, error) { return nil, errors.New("never called") }
	palette := module.NewPalette(
		&module.Module{Bind: nothing, Spec: module.Spec{
			Name: "Select Columns in Dataset", Group: "Data", CodeVersion: 2, Nature: module.RowWise, Doc: "Picks columns.",
			Inputs: []module.Port{table}, Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset}},
			Params: []module.Param{{Name: "Select columns", Type: module.ColumnPicker, Required: true, Schema: true, Doc: "the columns"}},
		}},
		&module.Module{Bind: nothing, Spec: module.Spec{
			Name: "Score Model", Group: "Data", CodeVersion: 1, Nature: module.RowWise, Doc: "Scores.",
			Inputs: []module.Port{trained, table}, Outputs: []module.Port{{ID: "Scored dataset", Kind: service.Dataset}},
		}},
	)
	return Service{
		Title: "Adult income", Location: "South Central US", Palette: palette, Settings: service.Settings{MaxConcurrentCalls: 4},
		Address: func(a service.Asset) (string, error) { return "https://store.example/" + a.Digest, nil },
	}
}

func TestGolden(t *testing.T) {
	body, err := Encode(income(), adult())
	if err != nil {
		t.Fatal(err)
	}
	again, err := Encode(income(), adult())
	if err != nil || !bytes.Equal(body, again) {
		t.Errorf("two documents of one deployment differ, or %v", err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	const name = "testdata/income.json"
	if *update {
		if err := os.WriteFile(name, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("%s (run with -update if it is meant):\n%s", name, d)
	}
}

// A client that edits the package follows its references: each must lead
// somewhere.
func TestReferences(t *testing.T) {
	body, err := Encode(income(), adult())
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Properties struct {
			Assets  map[string]struct{ Type string }
			Package struct {
				Nodes map[string]struct{ AssetID, InputID, OutputID string }
				Edges []struct{ SourceNodeID, TargetNodeID string }
			}
		}
	}
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	p := d.Properties.Package
	if len(p.Nodes) != 7 || len(p.Edges) != 4 {
		t.Errorf("%d nodes, %d edges", len(p.Nodes), len(p.Edges))
	}
	for id, n := range p.Nodes {
		if _, ok := d.Properties.Assets[n.AssetID]; !ok && n.InputID == "" && n.OutputID == "" {
			t.Errorf("node %s stands for nothing", id)
		}
	}
	for _, e := range p.Edges {
		for _, id := range []string{e.SourceNodeID, e.TargetNodeID} {
			if _, ok := p.Nodes[id]; !ok {
				t.Errorf("an edge leads to node %q", id)
			}
		}
	}
	if a, b := p.Nodes["clean"].AssetID, p.Nodes["select"].AssetID; a != b {
		t.Errorf("one module is two assets, %s and %s", a, b)
	}
	if d.Properties.Assets["module1"].Type != "Resource" {
		t.Error("a module took the place of an asset")
	}
}

func TestRefuses(t *testing.T) {
	m := income()
	m.Graph = json.RawMessage(`[]`)
	if _, err := Encode(m, adult()); err == nil {
		t.Error("a graph that is none was written")
	}
	s := adult()
	away := errors.New("storage is away")
	s.Address = func(service.Asset) (string, error) { return "", away }
	if _, err := Encode(income(), s); !errors.Is(err, away) {
		t.Errorf("without an address: %v", err)
	}
}

func TestModuleID(t *testing.T) {
	a, b := ModuleID("Score Model"), ModuleID("Train Model")
	if !service.ValidID(a) || a == b || a != ModuleID("Score Model") || strings.Contains(a, "-") {
		t.Errorf("ids %s and %s", a, b)
	}
}
