package batch

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/frame/parquet"
	"github.com/portico-ml/portico/shared/storage"
)

// putBytes stores a file of the caller's.
func (r *rig) putBytes(key string, body []byte) {
	r.t.Helper()
	if _, err := r.raw.Blobs.Put(r.t.Context(), key, body, nil, storage.Condition{}); err != nil {
		r.t.Fatal(err)
	}
}

// between is a submit body from one blob to another.
func between(in, out, options string) string {
	if options == "" {
		options = "{}"
	}
	return `{"Input":` + ref(in) + `,"Output":` + ref(out) + `,"GlobalParameters":{"rate":"0.5"},"Options":` + options + `}`
}

// written is csv rows as a file of a kind. A Parquet file has a row group for
// every so many rows.
func written(t testing.TB, kind, csv string, l *frame.Layout, group int) []byte {
	t.Helper()
	f, err := frame.CSV{}.Read([]byte(csv), l)
	if err != nil {
		t.Fatal(err)
	}
	ft, packed := fileKind(kind)
	var data []byte
	if ft.Name == format.Parquet {
		data = []byte(parquet.Magic)
		var groups []parquet.Group
		for lo := 0; lo < f.Rows(); lo += group {
			var g parquet.Group
			data, g = parquet.AppendGroup(data, f, lo, min(lo+group, f.Rows()))
			groups = append(groups, g)
		}
		data = parquet.AppendFooter(data, l.Schema, groups)
	} else if data, err = ft.Append(nil, f); err != nil {
		t.Fatal(err)
	}
	if data, err = packed.Compress(nil, data); err != nil {
		t.Fatal(err)
	}
	return data
}

// asCSV is a file of a kind as csv, by a layout.
func asCSV(t testing.TB, kind string, data []byte, l *frame.Layout) string {
	t.Helper()
	ft, packed := fileKind(kind)
	data, err := packed.Decompress(data, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ft.Read(data, l, format.Options{})
	if err != nil {
		t.Fatalf("%v in %.300q", err, data)
	}
	return string(frame.AppendCSV(nil, f, ','))
}

var kinds = []string{"csv", "tsv", "jsonl", "arff", "parquet", "csv.gz", "tsv.zst", "jsonl.gz", "jsonl.zst", "arff.gz"}

// Whatever the format of the input and of the output, and however the input is
// cut, the rows are the same.
func TestFormats(t *testing.T) {
	csv := strings.ReplaceAll(rows(60), "\r", "") +
		"\"né \"\"q\"\" 'a', {b} % ? \\ @data\t#\",1.25,7\n\" 東京\n\",1E-05,\n\"?\",,3\n"
	dep := newTariff(t, false)
	f, err := frame.CSV{}.Read([]byte(csv), dep.in)
	if err != nil {
		t.Fatal(err)
	}
	session := dep.Session().(*tariffSession)
	session.rate, session.in[0] = 0.5, f
	scored, err := session.Score(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := string(frame.AppendCSV(nil, scored[0], ','))
	try := func(in, out string, size int64, group int) {
		t.Run(fmt.Sprintf("%s to %s in chunks of %d", in, out, size), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.limits = Limits{ChunkBytes: size, MaxChunkBytes: 1 << 30}
			r.restart()
			r.putBytes("in."+in, written(t, in, csv, dep.in, group))
			id := r.submit(between("in."+in, "out."+out, ""))
			r.drain()
			s := r.status(id)
			if s.StatusCode != Finished {
				t.Fatalf("%s: %s\n%s", s.StatusCode, details(s), r.log.String())
			}
			if got := asCSV(t, out, []byte(readAll(t, r.raw.Blobs, "out."+out)), dep.out); got != want {
				t.Errorf("the output differs:\n%s\nwant:\n%s", got, want)
			}
			if n := s.Progress.Chunks; size == 1 && n != 63 || size == 1<<30 && n != 1 {
				t.Errorf("%d chunks", n)
			}
			if p := s.Progress; p.RowsRead != 63 || p.RowsWritten != 63 || p.BadRows != 0 {
				t.Errorf("%+v", p)
			}
		})
	}
	for i, in := range kinds {
		try(in, in, 1, 1)
		try(in, in, 1<<30, 25)
		for k, out := range kinds {
			if (i+k)%every(t) == 0 {
				try(in, out, 700, 7)
			}
		}
	}
}

// A job that runs whole reads and writes the same formats.
func TestFormats_whole(t *testing.T) {
	var want string
	for _, kind := range kinds {
		r := newRig(t)
		r.dep = newTariff(t, true)
		r.restart()
		dep := r.dep.(*tariff)
		r.putBytes("in."+kind, written(t, kind, rows(300), dep.in, 100))
		id := r.submit(between("in."+kind, "out."+kind, ""))
		r.drain()
		if s := r.status(id); s.StatusCode != Finished || s.Progress.RowsRead != 300 {
			t.Fatalf("%s: %s: %s %+v", kind, s.StatusCode, details(s), s.Progress)
		}
		got := asCSV(t, kind, []byte(readAll(t, r.raw.Blobs, "out."+kind)), dep.out)
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%s: the output differs:\n%s", kind, got)
		}
	}
}

// What a text of another format than csv does that is not as it should be.
func TestFormats_rows(t *testing.T) {
	const head = "row,input,column,code,reason,raw\n"
	long := strings.Repeat("x", 3000)
	for _, tt := range []struct {
		name, kind, in, options string
		limits                  Limits
		out, errs, details      string
	}{
		{
			name: "CRLF, BOM, blank lines, order, escapes", kind: "jsonl",
			in:  "\ufeff\r\n{\"minutes\": 2, \"id\":\"A\"}\r\n\r\n \t\r\n{\"id\":\"\\u0042 \\\"q\\\" \\n\\ud83d\\ude00\",\"minutes\":\"4\",\"calls\":null}\n\n{\"id\":\"C\"}",
			out: "id,charge,calls\nA,1,\n\"B \"\"q\"\" \n😀\",2,\nC,,\n",
		},
		{name: "empty file", kind: "jsonl", out: "id,charge,calls\n"},
		{name: "no line end", kind: "jsonl", in: `{"id":"A","minutes":2}`, out: "id,charge,calls\nA,1,\n"},
		{
			name: "bad lines", kind: "jsonl", options: `{"RowErrors":"collect"}`,
			in:  "{\"id\":\"A\",\"minutes\":2}\n{\"id\":\"B\",\"minutes\":\"x\"}\n\n{\"id\":\"C\"\n[1]\n{\"id\":\"D\",\"calls\":1.5}\n{\"id\":\"E\",\"minutes\":-1}\n{\"id\":\"F\",\"minutes\":{}}\n{\"id\":\"G\",\"id\":\"G\"}\n{\"id\":\"H\",\"minutes\":6}\n",
			out: "id,charge,calls\nA,1,\nH,3,\n",
			errs: head + `2,input1,minutes,InputParseError,"column ""minutes"" (Double): value ""x"" is not a number","{""id"":""B"",""minutes"":""x""}"
3,input1,,InputParseError,"the object is not closed: , or } expected","{""id"":""C"""
4,input1,,InputParseError,the line is not a JSON object,[1]
5,input1,calls,InputParseError,"column ""calls"" (Int32): value ""1.5"" is not a whole number","{""id"":""D"",""calls"":1.5}"
6,input1,Apply Math Operation,NegativeMinutes,minutes are negative,"{""id"":""E"",""minutes"":-1}"
7,input1,,InputParseError,"column ""minutes"": an object or array is no cell","{""id"":""F"",""minutes"":{}}"
8,input1,,InputParseError,"the object has member ""id"" twice","{""id"":""G"",""id"":""G""}"
`,
		},
		{name: "policy fail", kind: "jsonl", in: "\n{\"id\":\"A\"}\n\n{\"id\":\"B\",\"minutes\":\"x\"}\n", details: `InputParseError: input1, row 2 (line 4): column "minutes" (Double): value "x" is not a number`},
		{name: "refused by scoring behind blank lines", kind: "jsonl", in: "\n{\"id\":\"A\"}\n\n\n{\"id\":\"B\",\"minutes\":-1}\n\n", details: "NegativeMinutes: input1, row 2 (line 5): minutes are negative"},
		{name: "extra members ignored", kind: "jsonl", in: "{\"id\":\"A\",\"x\":[{}],\"minutes\":2,\"y\":1}\n", out: "id,charge,calls\nA,1,\n"},
		{name: "extra member refused", kind: "jsonl", in: "{\"id\":\"A\",\"x\":1}\n", options: `{"ExtraColumns":"error"}`, details: `InputMismatchError: input1, row 1 (line 1): column "x" is not one of the service`},
		{name: "not UTF-8", kind: "jsonl", in: "{\"id\":\"A\"}\n{\"id\":\"\xe9\"}\n", options: `{"RowErrors":"collect"}`, details: "the file is not UTF-8: byte 0xE9 on line 2"},
		{name: "UTF-16", kind: "jsonl", in: "\xff\xfe{\x00", details: "UTF-16"},
		{
			name: "a long record", kind: "jsonl", options: `{"RowErrors":"collect"}`, limits: Limits{RecordBytes: 1000, ChunkBytes: 40},
			in:   "{\"id\":\"A\",\"minutes\":2}\n{\"id\":\"" + long + "\"}\n{\"id\":\"C\",\"minutes\":6}\n",
			out:  "id,charge,calls\nA,1,\nC,3,\n",
			errs: head + `2,input1,,InputParseError,the record is longer than the limit of 1000 bytes,"{""id"":""` + long + "\"\"}\"\n",
		},
		{
			name: "header, comments, sparse rows, quotes, CRLF", kind: "arff",
			in:  "\ufeff% about\r\n@RELATION 'a b'\r\n\r\n@attribute minutes numeric\r\n@attribute id string\r\n@attribute calls integer\r\n@Data\r\n% c\r\n2,A,?\r\n\r\n{0 4, 1 'B, \\'q\\''}\r\n 6 , \"C\" , 3 \r\n",
			out: "id,charge,calls\nA,1,\n\"B, 'q'\",2,0\nC,3,3\n",
		},
		{
			name: "bad records", kind: "arff", options: `{"RowErrors":"collect"}`,
			in:  "@relation r\n@attribute id string\n@attribute minutes numeric\n@data\nA,2\n% x,y,z\nB\nC,-1\nD,x\nE,4\n",
			out: "id,charge,calls\nA,1,\nE,2,\n",
			errs: head + `2,input1,,InputParseError,"the record has 1 value, the header declares 2",B
3,input1,Apply Math Operation,NegativeMinutes,minutes are negative,"C,-1"
4,input1,minutes,InputParseError,"column ""minutes"" (Double): value ""x"" is not a number","D,x"
`,
		},
		{name: "policy fail", kind: "arff", in: "@relation r\n@attribute id string\n@attribute minutes numeric\n@data\n% x\nB,x\n", details: `input1, row 1 (line 6): column "minutes" (Double): value "x" is not a number`},
		{name: "missing column", kind: "arff", in: "@relation r\n@attribute Id string\n@data\n", details: `the file has no column "id"`},
		{name: "extra column refused", kind: "arff", in: "@relation r\n@attribute id string\n@attribute minutes real\n@attribute z real\n@data\n", options: `{"ExtraColumns":"error"}`, details: `column "z" of the file is not one of the service`},
		{name: "no data", kind: "arff", in: "@relation r\n@attribute id string\n", details: "the file has no @data line"},
		{name: "no ARFF", kind: "arff", in: "id,minutes\nA,1\n", details: "the file is no ARFF file"},
		{name: "a long header", kind: "arff", in: "@relation r\n" + strings.Repeat("% "+long+"\n", 400) + "@attribute id string\n@data\n", details: "the header is longer than 1048576 bytes"},
	} {
		t.Run(tt.kind+"/"+tt.name, func(t *testing.T) {
			r := newRig(t)
			r.limits = tt.limits
			r.restart()
			r.put("in."+tt.kind, tt.in)
			id := r.submit(between("in."+tt.kind, "out.csv", tt.options))
			r.drain()
			s := r.status(id)
			if tt.details != "" {
				if s.StatusCode != Failed || !strings.Contains(details(s), tt.details) {
					t.Errorf("%s: %s\nwant Failed: %s", s.StatusCode, details(s), tt.details)
				}
				r.gone(id)
				return
			}
			o := r.outcome(id)
			if o.out != tt.out {
				t.Errorf("output:\n%s\nwant:\n%s", o.out, tt.out)
			}
			if o.errs != tt.errs {
				t.Errorf("error file:\n%s\nwant:\n%s", o.errs, tt.errs)
			}
		})
	}
}

// A line far above the limit is one bad row, or none where it is a comment, and
// is never in memory.
func TestFormats_longLine(t *testing.T) {
	much := strings.Repeat("long line ", 700_000)
	for kind, in := range map[string]string{
		"jsonl": "{\"id\":\"A\",\"minutes\":2}\n{\"id\":\"" + much + "\"}\n\n{\"id\":\"C\",\"minutes\":6}\n",
		"arff":  "@relation r\n@attribute id string\n@attribute minutes numeric\n@data\nA,2\n% " + much + "\n" + much + "\nC,6\n",
	} {
		r := newRig(t)
		r.limits = Limits{RecordBytes: 100_000, ChunkBytes: 500_000}
		r.restart()
		r.put("in."+kind, in)
		id := r.submit(between("in."+kind, "out.csv", `{"RowErrors":"collect"}`))
		r.drain()
		o := r.outcome(id)
		if want := "id,charge,calls\nA,1,\nC,3,\n"; o.out != want {
			t.Errorf("%s: output:\n%s", kind, o.out)
		}
		if want := "2,input1,,InputParseError,the record is longer than the limit of 100000 bytes: it has 7000"; !strings.Contains(o.errs, want) || len(o.errs) > 2*rawMax {
			t.Errorf("%s: error file of %d bytes: %.200s", kind, len(o.errs), o.errs)
		}
		if p := r.status(id).Progress; p.RowsRead != 3 || p.BadRows != 1 {
			t.Errorf("%s: %+v", kind, p)
		}
	}
}

// An ARFF file's header lists the levels of the service: a cell outside them
// is a bad row of an ARFF output, and of no other.
func TestFormats_unpinnedLevel(t *testing.T) {
	const in = "id,minutes\nA,2\nB,4\nZ,6\nA,8\nY,10\n"
	for _, tt := range []struct{ out, options, want, errs, details string }{
		{out: "csv", want: "id,charge,calls\nA,1,\nB,2,\nZ,3,\nA,4,\nY,5,\n"},
		{out: "parquet", want: "id,charge,calls\nA,1,\nB,2,\nZ,3,\nA,4,\nY,5,\n"},
		{out: "arff", details: `input1, row 3 (line 4): column "id": the value "Z" is not one of the levels that the file's header lists`},
		{
			out: "arff.gz", options: `{"RowErrors":"collect"}`, want: "id,charge,calls\nA,1,\nB,2,\nA,4,\n",
			errs: "row,input,column,code,reason,raw\n" +
				`3,input1,id,InputMismatchError,"column ""id"": the value ""Z"" is not one of the levels that the file's header lists","Z,6"` + "\n" +
				`5,input1,id,InputMismatchError,"column ""id"": the value ""Y"" is not one of the levels that the file's header lists","Y,10"` + "\n",
		},
	} {
		r := newRig(t)
		dep := newTariff(t, false)
		for _, ports := range [][]frame.Schema{{dep.manifest.Inputs[0].Schema, dep.manifest.Outputs[0].Schema}} {
			for _, s := range ports {
				s[0].Levels = []string{"B", "A"}
			}
		}
		var err error
		if dep.in, err = frame.NewLayout(dep.manifest.Inputs[0].Schema); err != nil {
			t.Fatal(err)
		}
		if dep.out, err = frame.NewLayout(dep.manifest.Outputs[0].Schema); err != nil {
			t.Fatal(err)
		}
		r.dep = dep
		r.restart()
		r.put("in.csv", in)
		id := r.submit(between("in.csv", "out."+tt.out, tt.options))
		r.drain()
		s := r.status(id)
		if tt.details != "" {
			if s.StatusCode != Failed || !strings.Contains(details(s), tt.details) {
				t.Errorf("%s: %s: %s", tt.out, s.StatusCode, details(s))
			}
			continue
		}
		if s.StatusCode != Finished {
			t.Fatalf("%s: %s: %s", tt.out, s.StatusCode, details(s))
		}
		if got := asCSV(t, tt.out, []byte(readAll(t, r.raw.Blobs, "out."+tt.out)), dep.out); got != tt.want {
			t.Errorf("%s: output:\n%s", tt.out, got)
		}
		if s.ErrorFile != nil {
			if got := readAll(t, r.inner.Blobs, strings.TrimPrefix(s.ErrorFile.RelativeLocation, "portico/")); got != tt.errs {
				t.Errorf("%s: error file:\n%s", tt.out, got)
			}
		} else if tt.errs != "" {
			t.Errorf("%s: no error file", tt.out)
		}
	}
}

// What is wrong with a compressed file is wrong with the job.
func TestFormats_packed(t *testing.T) {
	dep := newTariff(t, false)
	gz := written(t, "csv.gz", rows(2000), dep.in, 0)
	zst := written(t, "csv.zst", rows(2000), dep.in, 0)
	corrupt := bytes.Clone(zst)
	corrupt[len(corrupt)/2] ^= 0xff
	bomb := written(t, "csv.gz", "id,minutes\n"+strings.Repeat("A,1\n", 500_000), dep.in, 0)
	members := append(written(t, "csv.gz", "id,minutes\nA,2\n", dep.in, 0), written(t, "jsonl.gz", "id,minutes\n", dep.in, 0)...)
	for _, tt := range []struct {
		name, kind string
		in         []byte
		rows       int64
		details    string
	}{
		{name: "gzip", kind: "csv.gz", in: gz, rows: 2000},
		{name: "zstd", kind: "csv.zst", in: zst, rows: 2000},
		{name: "gzip by its long name", kind: "csv.gzip", in: gz, rows: 2000},
		{name: "two members", kind: "csv.gz", in: members, rows: 1},
		{name: "cut off", kind: "csv.gz", in: gz[:len(gz)/2], details: "the compressed file is damaged or cut off"},
		{name: "its checksum cut off", kind: "csv.gz", in: gz[:len(gz)-3], details: "the compressed file is damaged or cut off"},
		{name: "corrupt", kind: "csv.zst", in: corrupt, details: "the compressed file is damaged or cut off"},
		{name: "zstd cut off", kind: "csv.zst", in: zst[:len(zst)-5], details: "the compressed file is damaged or cut off"},
		{name: "another compression", kind: "csv.gz", in: zst, details: "gzip"},
		{name: "empty", kind: "csv.gz", details: "cut off"},
		{name: "text behind it", kind: "csv.gz", in: append(bytes.Clone(gz), "more"...), details: "damaged"},
		{name: "bomb", kind: "csv.gz", in: bomb, details: "the file has more than 1000000 bytes when it is decompressed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.limits = Limits{UnpackedBytes: 1_000_000}
			r.restart()
			r.putBytes("in."+tt.kind, tt.in)
			id := r.submit(between("in."+tt.kind, "out.csv", ""))
			r.drain()
			s := r.status(id)
			if tt.details == "" {
				if s.StatusCode != Finished || s.Progress.RowsWritten != tt.rows {
					t.Errorf("%s: %s %+v", s.StatusCode, details(s), s.Progress)
				}
				return
			}
			if s.StatusCode != Failed || !strings.Contains(details(s), tt.details) {
				t.Errorf("%s: %s", s.StatusCode, details(s))
			}
			r.gone(id)
		})
	}
}

// A job over SVMLight: a service of numbers alone.
func TestFormats_svmlight(t *testing.T) {
	r := newRig(t)
	dep := newTariff(t, false)
	in, out := dep.manifest.Inputs[0].Schema, dep.manifest.Outputs[0].Schema
	in[0] = frame.Field{Name: "id", Type: frame.Int32, Role: frame.Label}
	out[0] = in[0]
	var err error
	if dep.in, err = frame.NewLayout(in); err != nil {
		t.Fatal(err)
	}
	if dep.out, err = frame.NewLayout(out); err != nil {
		t.Fatal(err)
	}
	r.dep, r.limits = dep, Limits{ChunkBytes: 3}
	r.restart()
	r.put("in.libsvm", "# rows\n1 1:2 2:3\n\n-1 1:4 # behind\nx 1:1\n1 2:1\n")
	id := r.submit(between("in.libsvm", "out.svmlight.gz", `{"RowErrors":"collect"}`))
	r.drain()
	s := r.status(id)
	if s.StatusCode != Finished || s.Progress.BadRows != 1 {
		t.Fatalf("%s: %s", s.StatusCode, details(s))
	}
	plain, err := format.Gzip.Decompress([]byte(readAll(t, r.raw.Blobs, "out.svmlight.gz")), 1<<20)
	if want := "1 1:1 2:3\n-1 1:2\n1 2:1\n"; err != nil || string(plain) != want {
		t.Errorf("output %q, %v, want %q", plain, err, want)
	}
	if got := readAll(t, r.inner.Blobs, strings.TrimPrefix(s.ErrorFile.RelativeLocation, "portico/")); !strings.Contains(got, "3,input1,id,InputParseError,") {
		t.Errorf("error file %s", got)
	}
}

// No chunk at all makes a file that its readers take.
func TestFormats_empty(t *testing.T) {
	for _, kind := range kinds {
		r := newRig(t)
		r.put("in.csv", "id,minutes\n")
		id := r.submit(between("in.csv", "out."+kind, ""))
		r.drain()
		if s := r.status(id); s.StatusCode != Finished {
			t.Fatalf("%s: %s: %s", kind, s.StatusCode, details(s))
		}
		if got := asCSV(t, kind, []byte(readAll(t, r.raw.Blobs, "out."+kind)), r.dep.(*tariff).out); got != "id,charge,calls\n" {
			t.Errorf("%s: %q", kind, got)
		}
	}
}
