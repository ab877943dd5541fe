package importer

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

const onnxGolden = "../onnx/testdata/golden/"

// goldenONNX lists the golden models by their paths without endings: whole
// pipelines, and every shape of trees.
func goldenONNX(t testing.TB) []string {
	t.Helper()
	var names []string
	for folder, atLeast := range map[string]int{onnxGolden: 45, "../onnx/testdata/shapes/": 40} {
		bindings, err := filepath.Glob(folder + "*.json")
		if err != nil {
			t.Fatal(err)
		}
		models := 0
		for _, f := range bindings {
			if filepath.Base(f) != "refused.json" {
				names = append(names, strings.TrimSuffix(f, ".json"))
				models++
			}
		}
		if models < atLeast {
			t.Fatalf("%d golden models in %s", models, folder)
		}
	}
	return names
}

// readONNX reads a golden model, which may be compressed.
func readONNX(t testing.TB, path string) []byte {
	t.Helper()
	if _, err := os.Stat(path + ".onnx"); err == nil {
		return read(t, path+".onnx")
	}
	r, err := gzip.NewReader(bytes.NewReader(read(t, path+".onnx.gz")))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rowsBeside reads the rows that a golden model was scored on.
func rowsBeside(t testing.TB, path string) []byte {
	t.Helper()
	return read(t, filepath.Join(filepath.Dir(path), "rows.csv"))
}

// beside joins two tables row by row.
func beside(a, b []byte) []byte {
	left, right := bytes.Split(bytes.TrimSpace(a), []byte("\n")), bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	var out bytes.Buffer
	for i := range left {
		out.Write(left[i])
		out.WriteByte(',')
		out.Write(right[i])
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// TestGoldenONNX imports every golden model with the binding of its author and
// checks its scores of 1,000 rows against ONNX Runtime's.
func TestGoldenONNX(t *testing.T) {
	for _, path := range goldenONNX(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			rows := rowsBeside(t, path)
			r, err := Import(Request{
				Name: path, File: readONNX(t, path), Binding: read(t, path+".json"),
				Check: beside(rows, read(t, path+".csv")),
			})
			if err != nil {
				t.Fatal(err)
			}
			if !r.Verified || r.Check.Rows != 1000 || r.Format != "ONNX" {
				t.Errorf("%s, check %+v", r.Format, r.Check)
			}
			t.Logf("%s: worst %.2g", r.Model.Header().Kind, r.Check.Worst)
			again, err := Import(Request{File: r.Artifact})
			if err != nil || !bytes.Equal(again.Artifact, r.Artifact) {
				t.Errorf("an exported model imports as another: %v", err)
			}
			batches(t, r.Model, rows)
		})
	}
}

// batches scores rows in batches of several sizes and compares the bits.
func batches(t *testing.T, m *model.Model, table []byte) {
	t.Helper()
	layout, err := frame.NewLayout(m.Requires())
	if err != nil {
		t.Fatal(err)
	}
	whole, err := frame.CSV{}.Read(table, layout)
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := m.Bind(whole.Schema())
	if err != nil {
		t.Fatal(err)
	}
	answers, err := frame.NewLayout(scorer.Fields())
	if err != nil {
		t.Fatal(err)
	}
	var want *frame.Frame
	for _, size := range []int{5000, 64, 7, 1} {
		got, st := answers.New(whole.Rows()), scorer.NewState()
		part := layout.New(size)
		for lo := 0; lo < whole.Rows(); lo += size {
			hi := min(whole.Rows(), lo+size)
			for i, c := range part.Cols {
				c.Reset()
				c.AppendRange(whole.Cols[i], lo, hi)
			}
			if err := scorer.Score(st, part, got.Cols); err != nil {
				t.Fatal(err)
			}
		}
		if want == nil {
			want = got
			continue
		}
		for i, c := range got.Cols {
			for r := range c.Len() {
				if a, b := string(c.Print(nil, r)), string(want.Cols[i].Print(nil, r)); a != b {
					t.Fatalf("row %d of %s: %s in batches of %d, %s in one", r, c.Field.Name, a, size, b)
				}
			}
		}
	}
}

// scored binds a golden model and reads its rows.
func scored(t testing.TB, path string) (*model.Scorer, *frame.Frame, *frame.Frame) {
	t.Helper()
	r, err := Import(Request{File: readONNX(t, path), Binding: read(t, path+".json")})
	if err != nil {
		t.Fatal(err)
	}
	layout, err := frame.NewLayout(r.Model.Requires())
	if err != nil {
		t.Fatal(err)
	}
	in, err := frame.CSV{}.Read(rowsBeside(t, path), layout)
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := r.Model.Bind(in.Schema())
	if err != nil {
		t.Fatal(err)
	}
	answers, err := frame.NewLayout(scorer.Fields())
	if err != nil {
		t.Fatal(err)
	}
	return scorer, in, answers.New(in.Rows())
}

func reset(f *frame.Frame) {
	for _, c := range f.Cols {
		c.Reset()
	}
}

// TestONNXAllocates holds that no golden model allocates for a scored row.
func TestONNXAllocates(t *testing.T) {
	for _, name := range goldenONNX(t) {
		scorer, in, out := scored(t, name)
		st := scorer.NewState()
		if n := testing.AllocsPerRun(3, func() {
			reset(out)
			if err := scorer.Score(st, in, out.Cols); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for %d rows", name, n, in.Rows())
		}
	}
}

// TestONNXRefusesRow names the row and the reason where a graph has no answer
// for what a cell holds.
func TestONNXRefusesRow(t *testing.T) {
	scorer, in, out := scored(t, onnxGolden+"pipeline_strict") // its encoder was told to refuse unknown categories
	layout, err := frame.NewLayout(in.Schema())
	if err != nil {
		t.Fatal(err)
	}
	changed := layout.New(3)
	for i, c := range changed.Cols {
		c.AppendRange(in.Cols[i], 0, 1)
		if c.Field.Name == "city" {
			c.AppendString([]byte("Atlantis"))
		} else {
			c.AppendRange(in.Cols[i], 1, 2)
		}
		c.AppendRange(in.Cols[i], 2, 3)
	}
	err = scorer.Score(scorer.NewState(), changed, out.Cols)
	var refused *model.RowError
	if !errors.As(err, &refused) || refused.Row != 1 || !strings.Contains(err.Error(), "OneHotEncoder") {
		t.Errorf("got %v", err)
	}
}

// TestONNXBinding refuses bindings that do not fit a graph.
func TestONNXBinding(t *testing.T) {
	for _, c := range []struct{ name, file, binding, want string }{
		{"unknown input", "logistic", `{"inputs": {"Z": ["a"]}}`, `input "Z", which the graph does not have`},
		{"too few columns", "logistic", `{"inputs": {"X": ["a", "b"]}}`, `input "X" 2 columns, it has 8`},
		{"no columns", "logistic", `{}`, "give its column"},
		{"output", "logistic", `{"outputs": {"probabilities": "p"}}`, `names output "p"`},
		{"kind", "logistic", `{"kind": "regression", "inputs": {"X": ["a","b","c","d","e","f","g","h"]}}`, "which is no regression model"},
		{"classes", "logistic", `{"label": {"classes": ["a","b","c"]}, "inputs": {"X": ["a","b","c","d","e","f","g","h"]}}`, "3 classes given, the model has 2"},
	} {
		_, err := Import(Request{File: read(t, onnxGolden+c.file+".onnx"), Binding: []byte(c.binding)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestONNXSchemaFrom takes the columns of a graph with one unnamed table from
// the training data, and the types of named inputs.
func TestONNXSchemaFrom(t *testing.T) {
	rows := read(t, onnxGolden+"rows.csv")
	r, err := Import(Request{File: read(t, onnxGolden+"pipeline_ridge.onnx"), SchemaFrom: rows, Check: beside(rows, read(t, onnxGolden+"pipeline_ridge.csv"))})
	if err != nil {
		t.Fatal(err)
	}
	requires := frame.Schema(r.Model.Requires())
	if city := requires[requires.Index("city")]; city.Type != frame.String || len(city.Levels) != 5 {
		t.Errorf("city is %+v", city)
	}
	var table bytes.Buffer
	for line := range bytes.Lines(rows) {
		table.Write(bytes.Join(bytes.Split(bytes.TrimSpace(line), []byte(","))[:8], []byte(",")))
		table.WriteByte('\n')
	}
	if r, err = Import(Request{File: read(t, onnxGolden+"linear.onnx"), SchemaFrom: table.Bytes(), Check: beside(rows, read(t, onnxGolden+"linear.csv"))}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(r.Warnings, "\n"), `"n0" to "n7"`) {
		t.Errorf("warnings %q", r.Warnings)
	}
}

// BenchmarkONNXPipeline scores scikit-learn's imputer, scaler, one-hot and
// logistic regression, from frame to score cells.
func BenchmarkONNXPipeline(b *testing.B) {
	scorer, in, out := scored(b, onnxGolden+"pipeline_logistic")
	layout, err := frame.NewLayout(in.Schema())
	if err != nil {
		b.Fatal(err)
	}
	var single []*frame.Frame // a different row each call
	for r := range in.Rows() {
		f := layout.New(1)
		for i, c := range f.Cols {
			c.AppendRange(in.Cols[i], r, r+1)
		}
		single = append(single, f)
	}
	st := scorer.NewState()
	b.Run("1 row", func(b *testing.B) {
		i := 0
		for b.Loop() {
			reset(out)
			if err := scorer.Score(st, single[i%len(single)], out.Cols); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
	b.Run("1000 rows", func(b *testing.B) {
		for b.Loop() {
			reset(out)
			if err := scorer.Score(st, in, out.Cols); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestONNXRefuses refuses graphs by what they lack, and graphs whose scores do
// not mean what a classifier's must: distances of clusters, and the scores of
// a support vector machine, which favour the class that it does not answer.
func TestONNXRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"scan":        "Scan: the operator is not supported",
		"kmeans":      "are not the classes of the highest score: of 64 sample rows 0 agree",
		"svc_scores":  "are not the classes of the highest score",
		"two_targets": "2 numbers in a row and the graph no label",
	} {
		_, err := Import(Request{
			File:    read(t, onnxGolden+"refused/"+name+".onnx"),
			Binding: []byte(`{"inputs": {"X": ["a","b","c","d","e","f","g","h"]}}`),
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
