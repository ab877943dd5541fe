package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/module/palette"
)

var all = palette.New()

func parse(t testing.TB, text string) *graph.Document {
	t.Helper()
	d, err := graph.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// doc writes a document: nodes and edges in a short form. An edge is
// "source[:port] -> target[:port]".
func doc(nodes map[string]string, rest string, edges ...string) string {
	var b strings.Builder
	b.WriteString(`{"nodes":{`)
	for i, id := range sorted(nodes) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:{%s}", id, nodes[id])
	}
	b.WriteString(`},"edges":[`)
	for i, e := range edges {
		if i > 0 {
			b.WriteByte(',')
		}
		from, to, _ := strings.Cut(e, " -> ")
		src, sp, _ := strings.Cut(from, ":")
		dst, tp, _ := strings.Cut(to, ":")
		fmt.Fprintf(&b, `{"sourceNodeId":%q,"sourcePortId":%q,"targetNodeId":%q,"targetPortId":%q}`, src, sp, dst, tp)
	}
	b.WriteString("]" + rest + "}")
	return b.String()
}

func sorted(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

const (
	data   = `,"assets":{"d":{"type":"Resource","kind":"Dataset","name":"data"},"m":{"type":"Resource","kind":"TrainedModel","name":"model","version":2}}`
	enter  = `"module":"Enter Data Manually","parameters":{"Data":"a\n1"}`
	pick   = `"module":"Select Columns in Dataset","parameters":{"Select columns":"a"}`
	clean  = `"module":"Clean Missing Data"`
	math   = `"module":"Apply Math Operation","parameters":{"Category":"Operations","Constant operation argument":"2","Output mode":"Inplace"}`
	rate   = `"graphParameters":{"rate":{"type":"Double","default":"2","links":[{"nodeId":"x","parameterKey":"Constant operation argument"}]}}`
	input  = `"inputId":"input1"`
	output = `"outputId":"output1"`
)

// TestProblems has a document for every rule, and what must be reported.
func TestProblems(t *testing.T) {
	for _, c := range []struct {
		name, doc string
		want      []string // rule node/port/parameter code
	}{
		{"nothing wrong", doc(map[string]string{"d": `"assetId":"d"`, "x": pick, "i": input, "o": output}, data, "d -> x", "i -> x", "x -> o"), nil},
		{"empty", `{}`, []string{"empty // Error0003"}},
		{"unknown module", doc(map[string]string{"x": `"module":"Train Modell"`}, ""), []string{"unknown-module x// Error0002"}},
		{"refused module", doc(map[string]string{"x": `"module":"Execute R Script"`}, ""), []string{"refused-module x// Error0002"}},
		{"unknown code version", doc(map[string]string{"e": enter, "x": pick + `,"codeVersion":77`}, "", "e -> x"), []string{"unknown-module x// Error0002"}},
		{"port as module", doc(map[string]string{"x": `"module":"Web Service Input"`}, ""), []string{"not-a-module x// Error0002"}},
		{"unknown asset", doc(map[string]string{"x": `"assetId":"nope"`}, ""), []string{"unknown-asset x// Error0003"}},
		{"asset of no kind", doc(map[string]string{"x": `"assetId":"d"`}, `,"assets":{"d":{"kind":"Notebook","name":"n"}}`), []string{"bad-asset x// Error0002"}},
		{"unknown nodes", doc(map[string]string{"e": enter}, "", "e -> nope", "nope2 -> e"), []string{"unknown-node nope// Error0002", "unknown-node nope2// Error0002", "unknown-port e// Error0002"}},
		{
			"unknown ports", doc(map[string]string{"e": enter, "x": pick}, "", "e:Data -> x:Dataset", "e:Dataset -> x:Table"),
			[]string{"unknown-port e/Data/ Error0002", "unknown-port x/Table/ Error0002"},
		},
		{"edge out of an output", doc(map[string]string{"e": enter, "x": pick, "o": output}, "", "e -> o", "o -> x"), []string{"unknown-port o// Error0002"}},
		{"edge into a dataset", doc(map[string]string{"e": enter, "d": `"assetId":"d"`}, data, "e -> d"), []string{"unknown-port d// Error0002"}},
		{
			"nodes that are nothing, or too much", doc(map[string]string{"x": pick, "n": ``, "t": input + "," + output, "u": pick + `,"assetId":"d"`, "v": `"assetId":"d","codeVersion":1`}, data, "n -> x", "t -> u"),
			[]string{"bad-node n// Error0002", "bad-node t// Error0002", "bad-node u// Error0002", "bad-node v// Error0002"},
		},
		{"a source that is not there", doc(map[string]string{"x": pick, "o": output}, "", "nope -> x", "x -> o"), []string{"unknown-node nope// Error0002"}},
		{"a learner's parameters", doc(map[string]string{
			"r": `"module":"Two-Class Boosted Decision Tree","parameters":{"Number of trees constructed":"10;20"}`,
			"n": `"module":"Two-Class Neural Network","parameters":{"Number of hidden nodes":"0"}`,
		}, ""), []string{"bad-parameter n// Error0002", "bad-parameter r//Number of trees constructed Error0002"}},
		{"two sources", doc(map[string]string{"e": enter, "f": enter, "x": pick}, "", "e -> x", "f -> x"), []string{"port-taken x/Dataset/ Error0002"}},
		{"missing input", doc(map[string]string{"x": pick}, ""), []string{"missing-input x/Dataset/ Error0003"}},
		{"wrong kind", doc(map[string]string{"m": `"assetId":"m"`, "x": pick}, data, "m -> x"), []string{"wrong-kind x/Dataset/ Error0013"}},
		{
			"all parameters at once", doc(map[string]string{"e": enter, "x": `"module":"Apply Math Operation","parameters":{"Category":"Calculus","Constant precision":"x","Columns":"a"}`}, "", "e -> x"),
			[]string{"bad-parameter x//Category Error0002", "bad-parameter x//Constant precision Error0002", "unknown-parameter x//Columns Error0002"},
		},
		{"required parameter", doc(map[string]string{"e": enter, "x": `"module":"Select Columns in Dataset"`}, "", "e -> x"), []string{"missing-parameter x//Select columns Error0003"}},
		{"out of range", doc(map[string]string{"e": enter, "x": `"module":"Clean Missing Data","parameters":{"Minimum missing value ratio":1.5}`}, "", "e -> x"), []string{"bad-parameter x//Minimum missing value ratio Error0008"}},
		{"cycle", doc(map[string]string{"a": pick, "b": pick, "c": pick}, "", "a -> b", "b -> c", "c -> a"), []string{"cycle a// Error0002"}},
		{"cycle of one", doc(map[string]string{"a": pick}, "", "a -> a"), []string{"cycle a// Error0002"}},
		{
			"cycles of their own", doc(map[string]string{"a": pick, "b": pick, "c": `"module":"Add Rows"`, "d": pick, "e": pick, "f": pick}, "", "a -> b", "b -> a", "b -> c:Dataset1", "d -> c:Dataset2", "c -> d", "e -> e", "d -> f"),
			[]string{"cycle a// Error0002", "cycle c// Error0002", "cycle e// Error0002"},
		},
		{"two outputs of one name", doc(map[string]string{"e": enter, "o": output, "p": output}, "", "e -> o", "e -> p"), []string{"duplicate-name p// Error0002"}},
		{"two inputs of one name", doc(map[string]string{"e": enter, "x": pick, "i": input, "j": input}, "", "e -> x", "i -> x", "j -> x"), []string{"duplicate-name j// Error0002", "port-taken x/Dataset/ Error0002"}},
		{"names", doc(map[string]string{"e e": enter, "o": `"outputId":"out/put"`}, "", "e e -> o"), []string{"bad-name e e// Error0002", "bad-name o// Error0002"}},
		{"output of nothing", doc(map[string]string{"e": enter, "o": output}, ""), []string{"not-connected o// Error0003"}},
		{"input to nothing", doc(map[string]string{"e": enter, "i": input}, ""), []string{"not-connected i// Error0003"}},
		{"input without a sample", doc(map[string]string{"x": pick, "i": input}, "", "i -> x"), []string{"missing-input i/Dataset/ Error0003"}},
		{"input of two samples", doc(map[string]string{"e": enter, "f": enter, "x": pick, "y": pick, "i": input}, "", "e -> x", "f -> y", "i -> x", "i -> y"), []string{"different-samples i// Error0010"}},
		{"two inputs at one port", doc(map[string]string{"e": enter, "x": pick, "i": input, "j": `"inputId":"input2"`}, "", "e -> x", "i -> x", "j -> x"), []string{"port-taken x/Dataset/ Error0002"}},
		{"input at a port that takes no table", doc(map[string]string{"m": `"assetId":"m"`, "d": `"assetId":"d"`, "x": `"module":"Score Model"`, "i": input}, data, "m -> x:Trained model", "d -> x:Dataset", "i -> x:Trained model"), []string{"wrong-kind x/Trained model/ Error0013"}},
		{"graph parameter", doc(map[string]string{"e": enter, "x": math, "o": output}, ","+rate, "e -> x", "x -> o"), nil},
		{"graph parameter of a name that changes columns", doc(map[string]string{"e": enter, "x": strings.Replace(math, "Inplace", "Append", 1), "o": output}, ","+rate, "e -> x", "x -> o"), []string{"schema-parameter x//Constant operation argument Error0002"}},
		{"the same off the path to an output", doc(map[string]string{"e": enter, "x": strings.Replace(math, "Inplace", "Append", 1), "o": output}, ","+rate, "e -> x", "e -> o"), nil},
		{
			"graph parameter linked wrongly", doc(map[string]string{"e": enter, "x": pick},
				`,"graphParameters":{"a":{"type":"String","links":[{"nodeId":"no","parameterKey":"k"}]},"b":{"type":"String","links":[{"nodeId":"x","parameterKey":"k"}]},"c":{"type":"Int","links":[{"nodeId":"x","parameterKey":"Select columns"}]},"d":{"type":"String"}}`, "e -> x"),
			[]string{"unknown-link no//k Error0002", "unknown-link x//k Error0002", "wrong-type x//Select columns Error0017", "not-connected //d Error0002"},
		},
		{
			"graph parameters badly declared", doc(map[string]string{"e": enter, "x": math},
				`,"graphParameters":{"a":{"type":"Number","links":[{"nodeId":"x","parameterKey":"Constant operation argument"}]},"b":{"type":"Double","default":"much","links":[{"nodeId":"x","parameterKey":"Constant operation argument"}]},"c":{"type":"Enumerated","links":[{"nodeId":"x","parameterKey":"Category"}]},"s":{"type":"Credential","default":"x","links":[{"nodeId":"x","parameterKey":"Column set"}]}}`, "e -> x"),
			[]string{
				"bad-parameter x//Constant operation argument Error0002", "bad-graph-parameter //a Error0002", "wrong-type x//Constant operation argument Error0017", "bad-graph-parameter //b Error0002",
				"duplicate-link x//Constant operation argument Error0002", "bad-graph-parameter //c Error0002", "bad-graph-parameter //s Error0002", "wrong-type x//Column set Error0017",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, p := range graph.Validate(parse(t, c.doc), all) {
				if p.Message == "" {
					t.Errorf("%s has no message", p.Rule)
				}
				got = append(got, fmt.Sprintf("%s %s/%s/%s %s", p.Rule, p.Node, p.Port, p.Parameter, p.Code))
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// TestShortMessages: a message names what it is about, however much that is.
func TestShortMessages(t *testing.T) {
	nodes, edges := make(map[string]string), []string{}
	for i := range 1000 {
		nodes[fmt.Sprintf("n%04d", i)] = pick
		edges = append(edges, fmt.Sprintf("n%04d -> n%04d", i, (i+1)%1000))
	}
	nodes["x"] = `"module":"` + strings.Repeat("M", 1<<20) + `"`
	var rules []string
	for _, p := range graph.Validate(parse(t, doc(nodes, "", edges...)), all) {
		if rules = append(rules, p.Rule); len(p.Message) > 400 {
			t.Errorf("%s has a message of %d bytes", p.Rule, len(p.Message))
		}
	}
	if diff := cmp.Diff([]string{"unknown-module", "cycle"}, rules); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// TestRefusedForm has documents that are none, and the place to be named.
func TestRefusedForm(t *testing.T) {
	for _, c := range []struct{ doc, place string }{
		{``, "ends too early"},
		{`[]`, "must be an object"},
		{`{"nodes":{}} {}`, "after the end"},
		{`{"nodes":{"a":{"module":"x"},"a":{"module":"y"}}}`, "nodes"},
		{`{"nodes":{"` + strings.Repeat("n", graph.MaxName+1) + `":{}}}`, "nodes: a member's name has 257 bytes"},
		{`{"nodes":{"n1":{"modul":"x"}}}`, "nodes.n1.modul"},
		{`{"nodes":{"n1":{"module":7}}}`, "nodes.n1.module"},
		{`{"nodes":{"n1":{"module":"x","parameters":{"a":1,"a":2}}}}`, "nodes.n1.parameters"},
		{`{"nodes":{"n1":{"module":"x","parameters":[]}}}`, "nodes.n1.parameters"},
		{`{"nodes":{"n1":{"module":"x","codeVersion":1.5}}}`, "nodes.n1.codeVersion"},
		{`{"nodes":{"n1":{"module":"x","position":{"x":"left"}}}}`, "nodes.n1.position.x"},
		{`{"edges":{}}`, "edges"},
		{`{"edges":[{"sourceNodeId":"a"}]}`, "edges[0]"},
		{`{"edges":[{"sourceNodeId":"a","targetNodeId":"b"},{"from":"a"}]}`, "edges[1].from"},
		{`{"assets":{"a":{"type":"Module"}}}`, "assets.a.type"},
		{`{"graphParameters":{"p":{"links":[{"node":"a"}]}}}`, "graphParameters.p.links[0].node"},
		{`{"graphParameters":{"p":{"options":[1]}}}`, "graphParameters.p.options[0]"},
		{`{"graphParameters":{"p":{},"p":{}}}`, "graphParameters"},
		{`{"nodes":{"n1":{"module":"x"`, "nodes.n1"},
		{"{\"nodes\":{\"\xff\":{}}}", "UTF-8"},
		{`{"nodes":` + strings.Repeat("[", 100000), "nodes"},
	} {
		_, err := graph.Parse([]byte(c.doc))
		if !fault.Is(err, fault.BadArgument) || !strings.Contains(err.Error(), c.place) {
			t.Errorf("%.60s: got %v, want the place %s", c.doc, err, c.place)
		}
	}
	if _, err := graph.Parse(bytes.Repeat([]byte(" "), graph.MaxBytes+1)); !fault.Is(err, fault.TooLarge) {
		t.Errorf("a document over the limit: %v", err)
	}
}

func TestCanonical(t *testing.T) {
	a := parse(t, `{"nodes":{"b":{"module":"Score Model","parameters":{"Append score columns to output":true,"x":null},"position":{"x":1,"y":2},"comment":"c"},"a":{"assetId":"d"}},
		"edges":[{"sourceNodeId":"a","targetNodeId":"b","targetPortId":"Dataset"},{"sourceNodeId":"a","targetNodeId":"b","targetPortId":"A"}],
		"graphParameters":{"z":{"type":"Int","default":5},"a":{"type":"String"}}}`)
	b := parse(t, `{"graphParameters":{"z":{"default":"5","type":"Int"},"a":{"type":"String"}},
		"edges":[{"sourceNodeId":"a","targetNodeId":"b","targetPortId":"A"},{"targetNodeId":"b","sourceNodeId":"a","targetPortId":"Dataset"}],
		"nodes":{"a":{"assetId":"d"},"b":{"module":"Score Model","parameters":{"Append score columns to output":"true"}}}}`)
	if !bytes.Equal(a.Canonical(), b.Canonical()) {
		t.Errorf("written differently, meant alike:\n%s\n%s", a.Canonical(), b.Canonical())
	}
	c := parse(t, strings.Replace(string(b.Bytes()), `"true"`, `"false"`, 1))
	if bytes.Equal(b.Canonical(), c.Canonical()) {
		t.Error("another parameter gives the same canonical bytes")
	}
	if d := parse(t, string(a.Bytes())); !cmp.Equal(a, d) {
		t.Errorf("written and read again: %s", cmp.Diff(a, d))
	}
	if i, j := strings.Index(string(a.Bytes()), `"z":`), strings.Index(string(a.Bytes()), `"a":{"type":"String"`); i < 0 || j < i {
		t.Errorf("graph parameters lost their order: %s", a.Bytes())
	}
}

func TestKind(t *testing.T) {
	for file, want := range map[string]graph.Kind{"churn": graph.Predictive, "tariff": graph.Data} {
		g, problems := graph.New(parse(t, sample(t, file)), all)
		if len(problems) > 0 || g.Kind() != want {
			t.Errorf("%s: %v, problems %v", file, g.Kind(), problems)
		}
	}
}

func sample(t testing.TB, name string) string {
	t.Helper()
	body, err := os.ReadFile("../../infra/samples/churn/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func cut(t *testing.T, text string) *graph.Cut {
	t.Helper()
	g, problems := graph.New(parse(t, text), all)
	if len(problems) > 0 {
		t.Fatalf("%+v", problems)
	}
	c, problems := g.Cut(all)
	if len(problems) > 0 {
		t.Fatalf("%+v", problems)
	}
	if _, problems := graph.Open(c.Doc, all); len(problems) > 0 {
		t.Fatalf("the cut does not open: %+v", problems)
	}
	return c
}

func nodes(d *graph.Document) string {
	var out []string
	for id, n := range d.Nodes {
		out = append(out, id+"="+n.Module+n.AssetID+n.InputID+n.OutputID)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestCut(t *testing.T) {
	t.Run("the input takes the sample's place", func(t *testing.T) {
		c := cut(t, sample(t, "churn"))
		if got := nodes(c.Doc); got != "input=input1 model=model output=output1 score=Score Model" || len(c.Apart) > 0 {
			t.Errorf("kept %s, apart %v", got, c.Apart)
		}
		if len(c.Doc.Assets) != 1 || c.Assets["model"].AssetID != "model" || c.Doc.Assets["model"].Name != "" {
			t.Errorf("assets %+v of %+v", c.Assets, c.Doc.Assets)
		}
		if c.Doc.Nodes["score"].CodeVersion != 1 || c.Doc.Nodes["score"].Position != nil {
			t.Errorf("score is %+v", c.Doc.Nodes["score"])
		}
	})
	t.Run("what feeds no output goes", func(t *testing.T) {
		c := cut(t, doc(map[string]string{"d": `"assetId":"d"`, "x": pick, "y": pick, "i": input, "o": output}, data, "d -> x", "d -> y", "i -> x", "x -> o"))
		if got := nodes(c.Doc); got != "i=input1 o=output1 x=Select Columns in Dataset" || len(c.Doc.Assets) != 0 {
			t.Errorf("kept %s and %v", got, c.Doc.Assets)
		}
	})
	t.Run("a fitted node freezes", func(t *testing.T) {
		c := cut(t, doc(map[string]string{"d": `"assetId":"d"`, "x": clean, "y": pick, "i": input, "o": output}, data, "d -> x", "i -> x", "x:Cleaned dataset -> y", "y -> o"))
		if got := nodes(c.Doc); got != "i=input1 o=output1 x.1=x.1 x=Apply Transformation y=Select Columns in Dataset" {
			t.Errorf("kept %s", got)
		}
		if !slices.Equal(c.Frozen, []string{"x"}) || c.Assets["x.1"].Result.Port != 1 {
			t.Errorf("frozen %v, assets %+v", c.Frozen, c.Assets)
		}
	})
	t.Run("what no input reaches becomes its result", func(t *testing.T) {
		c := cut(t, doc(map[string]string{"e": enter, "f": clean, "d": `"assetId":"d"`, "x": `"module":"Apply Transformation"`, "i": input, "o": output, "p": `"outputId":"p"`}, data,
			"e -> f", "f:Cleaning transformation -> x:Transformation", "d -> x:Dataset", "i -> x:Dataset", "x -> o", "f:Cleaned dataset -> p"))
		if got := nodes(c.Doc); got != "f.0=f.0 f.1=f.1 i=input1 o=output1 p=p x=Apply Transformation" {
			t.Errorf("kept %s", got)
		}
		if !slices.Equal(slices.Compact(c.Folded), []string{"f"}) || len(c.Frozen) != 0 {
			t.Errorf("folded %v, frozen %v", c.Folded, c.Frozen)
		}
		if !slices.Equal(c.Apart, []string{"p"}) {
			t.Errorf("outputs apart from the rows: %v, want p", c.Apart)
		}
	})
	t.Run("what a fitted node learned is no row", func(t *testing.T) {
		c := cut(t, doc(map[string]string{"d": `"assetId":"d"`, "x": clean, "y": `"module":"Apply Transformation"`, "e": enter, "i": input, "o": output, "p": `"outputId":"p"`}, data,
			"d -> x", "i -> x", "x:Cleaned dataset -> o", "x:Cleaning transformation -> y:Transformation", "e -> y:Dataset", "y -> p"))
		if !slices.Equal(c.Apart, []string{"p"}) {
			t.Errorf("outputs apart from the rows: %v, want p", c.Apart)
		}
	})
	t.Run("a table of what a fitted node learned", func(t *testing.T) {
		filter := `"module":"Filter Based Feature Selection","parameters":{"Target column":"a"}`
		ids := map[string]string{"d": `"assetId":"d"`, "x": filter, "i": input, "o": output, "p": `"outputId":"p"`}
		beside := cut(t, doc(ids, data, "d -> x", "i -> x", "x:Filtered dataset -> o", "x:Features -> p"))
		if got := nodes(beside.Doc); got != "i=input1 o=output1 p=p x.1=x.1 x.2=x.2 x=Apply Transformation" {
			t.Errorf("beside the rows it is the run's: kept %s", got)
		}
		if !slices.Equal(beside.Apart, []string{"p"}) || len(beside.Whole) > 0 {
			t.Errorf("beside the rows: apart %v, whole %v", beside.Apart, beside.Whole)
		}
		delete(ids, "o")
		alone := cut(t, doc(ids, data, "d -> x", "i -> x", "x:Features -> p"))
		if got := nodes(alone.Doc); got != "i=input1 p=p x=Filter Based Feature Selection" {
			t.Errorf("alone it is the call's: kept %s", got)
		}
		if !slices.Equal(alone.Whole, []string{"x"}) || len(alone.Apart)+len(alone.Frozen) > 0 || alone.BatchOnly {
			t.Errorf("alone: %+v", alone)
		}
	})
	t.Run("what is made of a frozen transformation is frozen with it", func(t *testing.T) {
		count := `"module":"Build Counting Transform","parameters":{"Label column":"a","Select columns to count":"b"}`
		c := cut(t, doc(map[string]string{"d": `"assetId":"d"`, "x": count, "y": `"module":"Modify Count Table Parameters"`, "z": `"module":"Apply Transformation"`, "i": input, "o": output}, data,
			"d -> x", "i -> x", "x -> y", "y -> z:Transformation", "i -> z:Dataset", "d -> z:Dataset", "z -> o"))
		if got := nodes(c.Doc); got != "i=input1 o=output1 y.0=y.0 z=Apply Transformation" {
			t.Errorf("kept %s", got)
		}
	})
	t.Run("a graph parameter keeps its node", func(t *testing.T) {
		c := cut(t, doc(map[string]string{"e": enter, "x": math, "o": output}, ","+rate, "e -> x", "x -> o"))
		if got := nodes(c.Doc); got != "e.0=e.0 o=output1 x=Apply Math Operation" || len(c.Apart) > 0 {
			t.Errorf("kept %s, apart %v", got, c.Apart)
		}
		if p := c.Doc.Nodes["x"].Parameters; p["Constant operation argument"] != "" || p["Output mode"] != "Inplace" || len(c.Doc.Params) != 1 {
			t.Errorf("parameters %v, graph parameters %+v", p, c.Doc.Params)
		}
	})
	t.Run("an unused graph parameter goes", func(t *testing.T) {
		c := cut(t, doc(map[string]string{"e": enter, "x": math, "o": output}, ","+rate, "e -> x", "e -> o"))
		if len(c.Doc.Params) != 0 {
			t.Errorf("graph parameters %+v", c.Doc.Params)
		}
	})
	for name, c := range map[string]struct{ doc, rule string }{
		"a fitted node with a graph parameter": {doc(map[string]string{"d": `"assetId":"d"`, "x": clean, "i": input, "o": output},
			data+`,"graphParameters":{"v":{"type":"String","default":"0","links":[{"nodeId":"x","parameterKey":"Replacement value"}]}}`, "d -> x", "i -> x", "x:Cleaned dataset -> o"), "frozen"},
		"an input that leads nowhere": {doc(map[string]string{"e": enter, "x": pick, "y": pick, "i": input, "o": output}, "", "e -> x", "e -> y", "i -> x", "y -> o"), "not-connected"},
	} {
		t.Run(name, func(t *testing.T) {
			g, problems := graph.New(parse(t, c.doc), all)
			if len(problems) > 0 {
				t.Fatalf("%+v", problems)
			}
			if _, problems = g.Cut(all); len(problems) != 1 || problems[0].Rule != c.rule || problems[0].Node == "" {
				t.Errorf("got %+v, want %s", problems, c.rule)
			}
		})
	}
}

func TestPublishable(t *testing.T) {
	g, _ := graph.New(parse(t, doc(map[string]string{"e": enter}, "")), all)
	if err := graph.Fault(g.Publishable()); err == nil || !strings.Contains(err.Error(), "neither a Web Service Output nor an Export Data") {
		t.Errorf("got %v", err)
	}
	g, _ = graph.New(parse(t, doc(map[string]string{"e": enter, "o": output}, "", "e -> o")), all)
	if p := g.Publishable(); len(p) != 0 {
		t.Errorf("got %+v", p)
	}
}

func TestFault(t *testing.T) {
	if graph.Fault(nil) != nil {
		t.Error("no problems make an error")
	}
	err := graph.Fault(graph.Validate(parse(t, doc(map[string]string{"x": pick, "y": `"module":"No"`}, "")), all))
	d := fault.Of(err).Details()
	if len(d) != 2 || d[0].Target == d[1].Target {
		t.Errorf("details %+v", d)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample(f, "churn")))
	f.Add([]byte(sample(f, "tariff")))
	f.Add([]byte(doc(map[string]string{"e": enter, "x": math, "o": output}, ","+rate, "e -> x", "x -> o")))
	f.Add([]byte(doc(map[string]string{"a": pick, "b": clean, "i": input}, data, "a -> b", "b -> a", "i -> a")))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := graph.Parse(body)
		if err != nil {
			if k := fault.KindOf(err); k != fault.BadArgument && k != fault.TooLarge {
				t.Fatalf("refused with %v: %v", k, err)
			}
			return
		}
		written := d.Bytes()
		if !json.Valid(written) {
			t.Fatalf("written as %q", written)
		}
		again, err := graph.Parse(written)
		if err != nil {
			t.Fatalf("%s is written as %s, which does not parse: %v", body, written, err)
		}
		if !bytes.Equal(again.Canonical(), d.Canonical()) {
			t.Fatalf("%s and %s differ", again.Canonical(), d.Canonical())
		}
		g, problems := graph.New(d, all)
		if (g == nil) != (len(problems) > 0) {
			t.Fatal("a graph with problems, or none without")
		}
		if g == nil || len(g.Publishable()) > 0 {
			return
		}
		if c, problems := g.Cut(all); len(problems) == 0 {
			if _, problems := graph.Open(c.Doc, all); len(problems) > 0 {
				t.Fatalf("the cut of %s does not open: %+v", body, problems)
			}
		}
	})
}
