package importer

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

const onnxGolden = "../onnx/testdata/golden/"

// goldenONNX lists the golden models.
func goldenONNX(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(onnxGolden + "*.onnx")
	if err != nil || len(files) < 45 {
		t.Fatalf("%d golden models, %v", len(files), err)
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".onnx"))
	}
	return names
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
	rows := read(t, onnxGolden+"rows.csv")
	for _, name := range goldenONNX(t) {
		t.Run(name, func(t *testing.T) {
			r, err := Import(Request{
				Name: name, File: read(t, onnxGolden+name+".onnx"), Binding: read(t, onnxGolden+name+".json"),
				Check: beside(rows, read(t, onnxGolden+name+".csv")),
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
