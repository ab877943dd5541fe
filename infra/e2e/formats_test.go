package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/frame/parquet"
)

// TestFormats scores May in every format of files, to csv, to the same and to
// another: the same rows, and to the text the same scores, as of csv.
func TestFormats(t *testing.T) {
	s := newSite(t, fmt.Sprintf("PORTICO_CHUNK_BYTES=%d", 64<<10))
	kinds := []string{"csv", "tsv", "jsonl", "arff", "parquet", "csv.gz", "jsonl.zst"}
	customers := parsed(t, string(sampleFile(t, "customers_may.csv")))
	want := s.result(s.job("churn", `{"Input":`+encode(s.upload("may.csv", string(sampleFile(t, "customers_may.csv"))))+`}`))
	scored, err := frame.NewLayout(parsed(t, want).Schema())
	if err != nil {
		t.Fatal(err)
	}
	for i, in := range kinds {
		file := s.upload("may."+in, fileOf(t, in, customers))
		for _, out := range []string{"csv", in, kinds[(i+3)%len(kinds)]} {
			st := s.job("churn", `{"Input":`+encode(file)+`,"Output":{"Format":"`+out+`"}}`)
			if in == "csv" && st.Progress.Chunks < 3 || st.Progress.RowsRead != customers.Rows() {
				t.Errorf("%s to %s: %+v", in, out, st.Progress)
			}
			if got := tableOf(t, out, s.result(st), scored); got != want {
				t.Errorf("%s to %s: the rows differ from those of csv", in, out)
			}
		}
	}

	// By the command line, from a file to a file.
	from, to := filepath.Join(t.TempDir(), "may.parquet"), filepath.Join(t.TempDir(), "scored.jsonl.gz")
	if err := os.WriteFile(from, []byte(fileOf(t, "parquet", customers)), 0o644); err != nil {
		t.Fatal(err)
	}
	s.as(t, "deployer").run("job", "submit", from, "-out", to)
	if got := tableOf(t, "jsonl.gz", readFile(t, to), scored); got != want {
		t.Error("the command line's result differs")
	}
}

// parsed is a csv text as a table of its own types.
func parsed(t *testing.T, text string) *frame.Frame {
	t.Helper()
	f, err := connect.Parse([]byte(text), format.Lookup(format.CSV), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// fileOf is a table as a file; a Parquet file has several row groups.
func fileOf(t *testing.T, kind string, f *frame.Frame) string {
	t.Helper()
	ft, packed := format.OfFile("." + kind)
	if ft.Name == format.Parquet {
		data, groups := []byte(parquet.Magic), []parquet.Group(nil)
		for lo := 0; lo < f.Rows(); lo += 500 {
			var g parquet.Group
			data, g = parquet.AppendGroup(data, f, lo, min(lo+500, f.Rows()))
			groups = append(groups, g)
		}
		return string(parquet.AppendFooter(data, f.Schema(), groups))
	}
	data, err := ft.Append(nil, f)
	if err == nil {
		data, err = packed.Compress(nil, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// tableOf is a file as csv text, read by a layout.
func tableOf(t *testing.T, kind, content string, l *frame.Layout) string {
	t.Helper()
	ft, packed := format.OfFile("." + kind)
	data, err := packed.Decompress([]byte(content), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ft.Read(data, l, format.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return string(frame.AppendCSV(nil, f, ','))
}
