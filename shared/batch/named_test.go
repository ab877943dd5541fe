package batch

import (
	"context"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/storage"
)

// An output says its format by its extension, by Format, or with no place at
// all, and then stays with us.
func TestFormats_named(t *testing.T) {
	place := func(more string) string { return strings.Replace(ref("out"), `{`, `{`+more+`,`, 1) }
	for _, tt := range []struct{ output, name, own string }{
		{output: `{"Format":"jsonl"}`, own: "output1.jsonl"},
		{output: `{"Format":"CSV.GZ"}`, own: "output1.csv.gz"},
		{output: place(`"Format":"parquet"`), name: "out"},
		{output: place(`"Format":"csv","NoHeader":true`), name: "out"},
	} {
		r := newRig(t)
		r.put("in", "{\"id\":\"A\",\"minutes\":2}\n")
		in := strings.Replace(ref("in"), "{", `{"Format":"jsonl",`, 1)
		id := r.submit(`{"Input":` + in + `,"Output":` + tt.output + `,"GlobalParameters":{"rate":"0.5"}}`)
		r.drain()
		s := r.status(id)
		if s.StatusCode != Finished {
			t.Fatalf("%s: %s: %s", tt.output, s.StatusCode, details(s))
		}
		if loc := s.Results["output1"].RelativeLocation; tt.own != "" && !strings.HasSuffix(loc, "/"+tt.own) {
			t.Errorf("%s: the result is at %s", tt.output, loc)
		}
		if tt.name == "" {
			continue
		}
		got := readAll(t, r.raw.Blobs, tt.name)
		if strings.Contains(tt.output, "NoHeader") {
			if got != "A,1,\n" {
				t.Errorf("without a header: %q", got)
			}
		} else if got := asCSV(t, "parquet", []byte(got), r.dep.(*tariff).out); got != "id,charge,calls\nA,1,\n" {
			t.Errorf("output %q", got)
		}
	}

	// A name says how a file is compressed, where its format is given.
	packed := newRig(t)
	packed.putBytes("in.gz", written(t, "tsv.gz", small, packed.dep.(*tariff).in, 0))
	id := packed.submit(strings.Replace(between("in.gz", "out.csv", ""), `"Input":{`, `"Input":{"Format":"tsv",`, 1))
	packed.drain()
	if got := packed.outcome(id).out; got != smallScored {
		t.Errorf("output %q", got)
	}

	r := newRig(t)
	r.put("in.csv", small)
	r.put("out.csv", "mine")
	if _, err := r.b.Submit(t.Context(), r.submission(between("in.csv", "out.xlsx", ""))); !fault.HasCode(err, "InvalidBlobExtension") ||
		!strings.Contains(err.Error(), `output1: the file has the extension ".xlsx"; supported are .csv, .tsv, .jsonl, .arff, .parquet, .svmlight, and all but .parquet with .gz or .zst behind it`) {
		t.Errorf("err = %v", err)
	}
	for _, name := range []string{"out.parquet.gz", "out.gz", "out.zip", "out"} {
		if _, err := r.b.Submit(t.Context(), r.submission(between("in.csv", name, ""))); !fault.HasCode(err, "InvalidBlobExtension") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.b.Submit(t.Context(), r.submission(between("in.csv", "out.svmlight", ""))); err != nil && !strings.Contains(err.Error(), "SVMLight holds numbers only") {
		t.Errorf("svmlight: %v", err)
	}
	id = r.submitOther(strings.Replace(between("in.csv", "out.csv", ""), `"Output":{`, `"Output":{"KeepExisting":true,`, 1))
	r.drain()
	if s := r.status(id); s.StatusCode != Failed || !strings.Contains(details(s), "is there already") || readAll(t, r.raw.Blobs, "out.csv") != "mine" {
		t.Errorf("a blob that is to be kept: %s: %s", s.StatusCode, details(s))
	}
	id = r.submitOther(strings.Replace(between("in.csv", "new.csv", ""), `"Output":{`, `"Output":{"KeepExisting":true,`, 1))
	r.drain()
	if s := r.status(id); s.StatusCode != Finished {
		t.Errorf("a blob that is new: %s: %s", s.StatusCode, details(s))
	}
}

// lake is a connection of the settings that leads to a blob.
type lake struct {
	*world
	blobs storage.Blobs
}

func (l lake) Sink(_ string, p connect.Place) (connect.Sink, error) {
	return lakeBlob{&worldTable{l.world, p.RelativeLocation}, l.blobs}, nil
}

type lakeBlob struct {
	*worldTable
	blobs storage.Blobs
}

func (l lakeBlob) FileFormat() (*format.Format, format.Compression) { return format.OfFile(l.name) }

func (l lakeBlob) Target(context.Context) (*blob.Blob, error) { return blob.Own(l.blobs, l.name), nil }

// Where a connection leads to a blob, its file is staged as any other and
// copied there.
func TestFormats_connection(t *testing.T) {
	for _, kind := range kinds {
		r := newRig(t)
		r.world = lake{newWorld(""), r.caller.Blobs}
		r.restart()
		r.put("in.csv", small)
		id := r.submit(`{"Input":` + ref("in.csv") + `,"Output":{"Connection":"lake","RelativeLocation":"c/out.` + kind + `"},"GlobalParameters":{"rate":"0.5"}}`)
		r.drain()
		s := r.status(id)
		if s.StatusCode != Finished || s.Results["output1"].RelativeLocation != "c/out."+kind {
			t.Fatalf("%s: %s: %s %+v", kind, s.StatusCode, details(s), s.Results)
		}
		if got := asCSV(t, kind, []byte(readAll(t, r.raw.Blobs, "c/out."+kind)), r.dep.(*tariff).out); got != smallScored {
			t.Errorf("%s: output:\n%s", kind, got)
		}
	}
}

// A file without a header row has the service's columns, in their order.
func TestFormats_noHeader(t *testing.T) {
	r := newRig(t)
	r.limits = Limits{ChunkBytes: 4}
	r.restart()
	r.put("in.tsv", "\ufeffA\t2\t1\nB\t4\t\n")
	id := r.submit(strings.Replace(between("in.tsv", "out.csv", ""), `"Input":{`, `"Input":{"NoHeader":true,`, 1))
	r.drain()
	if got := r.outcome(id).out; got != "id,charge,calls\nA,1,1\nB,2,\n" {
		t.Errorf("output %q", got)
	}
}

// A file in the drop container is answered in its own format.
func TestFormats_drop(t *testing.T) {
	for _, kind := range []string{"csv.gz", "jsonl", "parquet"} {
		r := newRig(t)
		key := ws + "/tariff/may." + kind
		body := written(t, kind, "id,minutes\nA,100\n", r.dep.(*tariff).in, 10)
		if _, err := r.inner.Drop.Put(t.Context(), key, body, nil, storage.Condition{}); err != nil {
			t.Fatal(err)
		}
		s := r.submission("")
		s.IdempotencyKey = ""
		for range 2 {
			if err := r.b.Drop(t.Context(), Dropped{Submission: s, Key: key}); err != nil {
				t.Fatal(err)
			}
			r.drain()
		}
		found := 0
		for info, err := range r.inner.DropDone.List(t.Context(), key+"/") {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(info.Key, "/output1."+kind) {
				found++
				if got := asCSV(t, kind, []byte(readAll(t, r.inner.DropDone, info.Key)), r.dep.(*tariff).out); got != "id,charge,calls\nA,17,\n" {
					t.Errorf("%s: %q", kind, got)
				}
			} else if !strings.HasSuffix(info.Key, "/receipt.json") {
				t.Errorf("%s: answered by %s", kind, info.Key)
			} else if got := readAll(t, r.inner.DropDone, info.Key); !strings.Contains(got, `"output1.`+kind+`"`) {
				t.Errorf("%s: receipt %s", kind, got)
			}
		}
		if found != 1 {
			t.Errorf("%s: %d answers", kind, found)
		}
	}
}
