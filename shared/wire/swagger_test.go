package wire

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

var update = flag.Bool("update", false, "write the golden files anew")

func income() *service.Manifest {
	rate := "0.2"
	var many []string
	for i := range maxEnum + 1 {
		many = append(many, fmt.Sprintf("town %d", i))
	}
	return &service.Manifest{
		Inputs: []service.Port{{Name: "input1", Schema: frame.Schema{
			{Name: "customer", Type: frame.String, Role: frame.ID, Optional: true},
			{Name: "age", Type: frame.Int32},
			{Name: "hours-per-week", Type: frame.Double, Nullable: true},
			{Name: "workclass", Type: frame.String, Levels: []string{"Private", "State-gov"}, Nullable: true},
			{Name: "town", Type: frame.String, Levels: many},
			{Name: "member", Type: frame.Boolean},
			{Name: "since", Type: frame.DateTime},
			{Name: "account", Type: frame.Int64},
			{Name: "income", Type: frame.String, Levels: []string{"<=50K", ">50K"}, Role: frame.Label, Optional: true, Nullable: true},
		}}},
		Outputs: []service.Port{{Name: "output1", Schema: frame.Schema{
			{Name: "age", Type: frame.Int32},
			{Name: "workclass", Type: frame.String, Levels: []string{"Private", "State-gov"}, Nullable: true},
			{Name: "Scored Labels", Type: frame.String, Levels: []string{"<=50K", ">50K"}, Role: frame.Score},
			{Name: "Scored Probabilities", Type: frame.Double, Role: frame.Score},
		}}},
		Parameters: []service.Parameter{
			{Name: "rate", Type: service.ParamDouble, Default: &rate, Description: "per hour"},
			{Name: "mode", Type: service.ParamEnum, Options: []string{"fast", "slow"}},
		},
		Samples: []service.Sample{{Request: json.RawMessage(`{"Inputs":{"input1":{"ColumnNames":["customer","age","hours-per-week","workclass","town","member","since","account"],` +
			`"Values":[["C1","39","40.5","State-gov","town 7","true","2015-10-09","9007199254740993"],["C2","50",null,"Private","","false",null,"1"],["C3","1","1","Private","","true",null,"1"]]}},"GlobalParameters":{"mode":"fast"}}`)}},
	}
}

func incomeEndpoint() Endpoint {
	return Endpoint{
		Title: "Adult income & <more>", Name: "default", BaseURL: "https://ml.example.com",
		Path: "/workspaces/0123456789abcdef0123456789abcdef/services/22222222222222222222222222222222",
	}
}

func openAPI(t *testing.T) *jsonschema.Schema {
	t.Helper()
	b, err := os.ReadFile("testdata/openapi/openapi-2.0.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("http://swagger.io/v2/schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("http://swagger.io/v2/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSwaggerIsValid(t *testing.T) {
	schema := openAPI(t)
	odd := income()
	odd.Inputs[0].Name, odd.Outputs[0].Name = "a/b ~ü", "a/b ~ü"
	batch := income()
	batch.BatchOnly = true
	whole := incomeEndpoint()
	whole.BaseURL, whole.Description, whole.SampleData = "http://127.0.0.1:7071", "With \"quotes\"", true
	bare := incomeEndpoint()
	bare.BaseURL = "http://[::1]:80"
	for name, b := range map[string][]byte{
		"plain":    Swagger(income(), incomeEndpoint()),
		"samples":  Swagger(income(), whole),
		"no host":  Swagger(income(), bare),
		"odd":      Swagger(odd, incomeEndpoint()),
		"batch":    Swagger(batch, incomeEndpoint()),
		"no ports": Swagger(&service.Manifest{}, incomeEndpoint()),
	} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, b)
			continue
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
		// Every $ref leads somewhere.
		for _, m := range regexp.MustCompile(`"\$ref":"#/definitions/([^"]*)"`).FindAllSubmatch(b, -1) {
			if !resolves(doc, string(m[1])) {
				t.Errorf("%s: no definition for %s", name, m[0])
			}
		}
	}
	if err := schema.Validate(map[string]any{"swagger": "2.0"}); err == nil {
		t.Error("the schema takes anything")
	}
}

func resolves(doc any, ref string) bool {
	u := regexp.MustCompile(`%[0-9A-F]{2}`).ReplaceAllStringFunc(ref, func(s string) string {
		var c byte
		fmt.Sscanf(s, "%%%02X", &c)
		return string([]byte{c})
	})
	u = strings.NewReplacer("~1", "/", "~0", "~").Replace(u)
	return doc.(map[string]any)["definitions"].(map[string]any)[u] != nil
}

// TestSwaggerGolden fixes the document to the byte.
func TestSwaggerGolden(t *testing.T) {
	for name, sample := range map[string]bool{"testdata/swagger.json": false, "testdata/swagger_samples.json": true} {
		e := incomeEndpoint()
		e.SampleData = sample
		var got bytes.Buffer
		if err := json.Indent(&got, Swagger(income(), e), "", "  "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
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
		if !bytes.Equal(Swagger(income(), e), Swagger(income(), e)) {
			t.Error("two documents of the same endpoint differ")
		}
	}
}

// TestSwaggerSuitsClients reads the document as the clients do: by the order
// of its members.
func TestSwaggerSuitsClients(t *testing.T) {
	b := Swagger(income(), incomeEndpoint())
	keys := func(path ...string) []string {
		raw := json.RawMessage(b)
		for _, p := range path {
			var m map[string]json.RawMessage
			if err := json.Unmarshal(raw, &m); err != nil || m[p] == nil {
				t.Fatalf("no %v: %v", path, err)
			}
			raw = m[p]
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.Token()
		var names []string
		for dec.More() {
			name, _ := dec.Token()
			names = append(names, name.(string))
			var skip json.RawMessage
			dec.Decode(&skip)
		}
		return names
	}
	paths := keys("paths")
	if len(paths) < 2 || paths[0] != "/swagger.json" || paths[1] != "/execute?api-version=2.0&format=swagger" {
		t.Errorf("paths %q", paths)
	}
	n := 0
	for _, p := range paths {
		if regexp.MustCompile(`/execute\?`).MatchString(p) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d paths match /execute?", n)
	}
	if d := cmp.Diff([]string{"age", "workclass", "Scored Labels", "Scored Probabilities"}, keys("definitions", "output1Item", "properties")); d != "" {
		t.Error(d)
	}
	if got := keys("definitions", "input1Item", "properties"); len(got) != 9 || got[0] != "customer" || got[8] != "income" {
		t.Errorf("input columns %q", got)
	}
	var doc struct {
		Definitions struct {
			ExecutionRequest struct {
				Example struct {
					Inputs map[string][]map[string]any
				}
			}
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil || len(doc.Definitions.ExecutionRequest.Example.Inputs["input1"]) != 1 {
		t.Errorf("example %+v, %v", doc, err)
	}
	if bytes.Contains(b, []byte(`"town 0"`)) {
		t.Error("a column of more than 100 levels gives them away")
	}
	if bytes.Contains(b, []byte("9007199254740993")) {
		t.Error("a sample row shows although sample data is off")
	}
}

// TestExampleExecutes reads both forms of an example back.
func TestExampleExecutes(t *testing.T) {
	m := income()
	p := NewPorts(m)
	var d Decoder
	for _, sample := range []bool{false, true} {
		var shown []string
		for _, form := range []Form{Table, Rows} {
			fs := newFrames(t, m.Inputs...)
			body := Example(m, form, sample)
			if err := d.Execute(p, body, fs); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			shown = append(shown, show(fs, d.Parameters()))
		}
		if shown[0] != shown[1] {
			t.Errorf("the two forms differ: %s", cmp.Diff(shown[0], shown[1]))
		}
		want := "value|1|1|Private|value|True|2000-01-01T00:00:00|1|-\n\nmode=fast"
		if sample {
			want = "C1|39|40.5|State-gov|town 7|True|2015-10-09T00:00:00|9007199254740993|-\nC2|50|-|Private|-|False|-|1|-\n\nmode=fast"
		}
		if shown[0] != want {
			t.Errorf("sample %v: %s", sample, cmp.Diff(want, shown[0]))
		}
	}
	m.Samples[0].Request = json.RawMessage(`{"Inputs":{}}`) // made by an older service
	if got := string(Example(m, Rows, true)); !bytes.Contains([]byte(got), []byte(`"age":1,`)) {
		t.Errorf("a sample that does not fit is not replaced: %s", got)
	}
}
