package batch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/parquet"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// What other programs write: testdata/parquet/make.py says how.
func TestParquet_foreign(t *testing.T) {
	const head = "row,input,column,code,reason,raw\n"
	var good strings.Builder
	good.WriteString("id,charge,calls\n")
	for i := 1; i <= 40; i++ {
		id, charge, calls := fmt.Sprintf("C%03d", i), fmt.Sprint(float64(i)/8), fmt.Sprint(i%9)
		if i%7 == 0 {
			id = fmt.Sprintf("\"é, \"\"%d\"\"\nmoved\"", i)
		}
		if i%11 == 0 {
			charge = ""
		}
		if i%5 == 0 {
			calls = ""
		}
		fmt.Fprintf(&good, "%s,%s,%s\n", id, charge, calls)
	}
	for _, tt := range []struct {
		file, options      string
		chunks             int // of one byte
		out, errs, details string
		ignored            int
	}{
		{file: "snappy", chunks: 5, out: good.String(), ignored: 1},
		{file: "zstd-v2", chunks: 3, out: good.String(), ignored: 1},
		{file: "gzip-plain", chunks: 1, out: good.String(), ignored: 1},
		{file: "delta", chunks: 4, out: good.String(), ignored: 1},
		{file: "pandas", chunks: 1, out: good.String()},
		{file: "empty", out: "id,charge,calls\n", ignored: 1},
		{
			file: "types", options: `{"RowErrors":"collect"}`, chunks: 3,
			out: "id,charge,calls\n1,1,1\n4,,\n7,500,7\n",
			errs: head + `2,input1,calls,InputParseError,"column ""calls"" (Int32): value ""2.5"" is not a whole number",
3,input1,minutes,InputParseError,"column ""minutes"" (Double): value ""12O"" is not a number",
5,input1,calls,InputParseError,"Error 0033: column ""calls"" (Int32): value ""1099511627776"" is infinite or too large for the column",
6,input1,Apply Math Operation,NegativeMinutes,minutes are negative,
8,input1,calls,InputParseError,"column ""calls"" (Double): Error 0033: the value is infinite",
`,
		},
		{file: "types", details: `input1, at least row 2: column "calls" (Int32): value "2.5" is not a whole number`},
		{
			file: "decimal", options: `{"RowErrors":"collect"}`, chunks: 1, out: "id,charge,calls\na,0.75,\nc,,\n",
			errs: head + "2,input1,id,InputParseError,\"column \"\"id\"\" (String): the text is not UTF-8\",\n",
		},
		{file: "missing", details: `InputMismatchError: the file has no column "id", which the service needs (it has "Id"; names are compared exactly)`},
		{file: "nested", details: `column "minutes" is nested`},
		{file: "brotli", details: "compression Brotli is not supported"},
		{file: "snappy", options: `{"ExtraColumns":"error"}`, details: `InputMismatchError: column "extra" of the file is not one of the service`},
	} {
		for _, size := range []int64{1, 0} {
			for _, whole := range []bool{false, true} {
				r := newRig(t)
				r.limits, r.dep = Limits{ChunkBytes: size}, newTariff(t, whole)
				r.restart()
				body, err := os.ReadFile(filepath.Join("testdata", "parquet", tt.file+".parquet"))
				if err != nil {
					t.Fatal(err)
				}
				r.putBytes("in.parquet", body)
				id := r.submit(between("in.parquet", "out.csv", tt.options))
				r.drain()
				s := r.status(id)
				name := fmt.Sprintf("%s in chunks of %d, whole=%v", tt.file, size, whole)
				if tt.details != "" {
					want := tt.details
					if whole || size == 0 {
						want = strings.Replace(want, "at least row", "row", 1)
					}
					if s.StatusCode != Failed || !strings.Contains(details(s), want) {
						t.Errorf("%s: %s: %s", name, s.StatusCode, details(s))
					}
					continue
				}
				if whole && strings.Contains(tt.errs, "NegativeMinutes") {
					continue // where rows are scored together none can be told apart
				}
				o := r.outcome(id)
				if o.out != tt.out || o.errs != tt.errs {
					t.Errorf("%s: output:\n%s\n%s", name, o.out, o.errs)
				}
				if p := s.Progress; !whole && size == 1 && p.Chunks != tt.chunks || p.IgnoredColumns != tt.ignored {
					t.Errorf("%s: %+v", name, p)
				}
			}
		}
	}
}

// A row group that is too large is named, with what it has and what it may.
func TestParquet_bounds(t *testing.T) {
	dep := newTariff(t, false)
	body := written(t, "parquet", rows(300), dep.in, 100)
	lying := func(change func([]byte)) []byte {
		b := bytes.Clone(body)
		change(b)
		return b
	}
	for _, tt := range []struct {
		name    string
		body    []byte
		limits  Limits
		details string
	}{
		{"bytes", body, Limits{GroupBytes: 1000}, "input1, row group 1 of 3 has 100 rows and, in the columns that are read, "},
		{"text", body, Limits{GroupBytes: 3500}, ""},
		{"cut off", body[:len(body)-9], Limits{}, "does not begin and end with PAR1"},
		{"tiny", body[:10], Limits{}, "does not begin and end with PAR1"},
		{"an end that is longer than the file", lying(func(b []byte) { binary.LittleEndian.PutUint32(b[len(b)-8:], 1<<30) }), Limits{}, "its metadata of 1073741824 bytes do not fit"},
		{"an end that is none", lying(func(b []byte) { end := len(b) - 8; clear(b[end-int(binary.LittleEndian.Uint32(b[end:])) : end]) }), Limits{}, "the Parquet file: "},
		{"pages that are none", lying(func(b []byte) { clear(b[4:400]) }), Limits{}, "the Parquet file: "},
		{"encrypted", lying(func(b []byte) { copy(b[len(b)-4:], "PARE") }), Limits{}, "encrypted"},
		{"empty", nil, Limits{}, "does not begin and end with PAR1"},
	} {
		r := newRig(t)
		r.limits = tt.limits
		r.restart()
		r.putBytes("in.parquet", tt.body)
		id := r.submit(between("in.parquet", "out.csv", ""))
		r.drain()
		s := r.status(id)
		if tt.details == "" {
			if s.StatusCode != Finished {
				t.Errorf("%s: %s: %s", tt.name, s.StatusCode, details(s))
			}
			continue
		}
		if s.StatusCode != Failed || !strings.Contains(details(s), tt.details) {
			t.Errorf("%s: %s: %s\nwant %s", tt.name, s.StatusCode, details(s), tt.details)
		}
	}
}

// A record above the limit is a bad row of a Parquet file, too.
func TestParquet_longRecord(t *testing.T) {
	r := newRig(t)
	r.limits = Limits{RecordBytes: 1000}
	r.restart()
	r.putBytes("in.parquet", written(t, "parquet", "id,minutes\nA,2\n"+strings.Repeat("x", 3000)+",4\nC,6\n", newTariff(t, false).in, 10))
	id := r.submit(between("in.parquet", "out.csv", `{"RowErrors":"collect"}`))
	r.drain()
	o := r.outcome(id)
	if want := "id,charge,calls\nA,1,\nC,3,\n"; o.out != want || !strings.HasSuffix(o.errs, "\n2,input1,,InputParseError,the record is longer than the limit of 1000 bytes,\n") {
		t.Errorf("output:\n%s%s", o.out, o.errs)
	}
}

// Rows that scoring refuses among many cost themselves alone.
func TestParquet_refusedAmongMany(t *testing.T) {
	var in, want strings.Builder
	in.WriteString("id,minutes\n")
	want.WriteString("id,charge,calls\n")
	for i := 1; i <= 9000; i++ {
		if i%97 == 0 {
			fmt.Fprintf(&in, "R%d,-1\n", i)
			continue
		}
		fmt.Fprintf(&in, "R%d,%d\n", i, i)
		fmt.Fprintf(&want, "R%d,%g,\n", i, float64(i)*0.5)
	}
	r := newRig(t)
	r.putBytes("in.parquet", written(t, "parquet", in.String(), newTariff(t, false).in, 8000))
	id := r.submit(between("in.parquet", "out.csv", `{"RowErrors":"collect"}`))
	r.drain()
	o := r.outcome(id)
	if o.out != want.String() {
		t.Error("the output differs")
	}
	if n := strings.Count(o.errs, "NegativeMinutes"); n != 9000/97 || !strings.Contains(o.errs, "\n8148,input1,") {
		t.Errorf("%d bad rows", n)
	}
}

// A plan of more row groups than a segment has chunks.
func TestParquet_manyGroups(t *testing.T) {
	r := newRig(t)
	r.limits = Limits{ChunkBytes: 1}
	r.restart()
	dep := r.dep.(*tariff)
	r.putBytes("in.parquet", written(t, "parquet", rows(segmentChunks+200), dep.in, 1))
	id := r.submit(between("in.parquet", "out.parquet", ""))
	for r.deliver(JobQueue) { // admit, plan
	}
	j, err := r.b.load(t.Context(), id)
	if err != nil || len(j.Segments) != 2 || j.Chunks != segmentChunks+200 || j.Rows != segmentChunks+200 {
		t.Fatalf("%d segments, %d chunks, %d rows, %v", len(j.Segments), j.Chunks, j.Rows, err)
	}
	for _, n := range []int{0, segmentChunks - 1, segmentChunks, segmentChunks + 199} {
		_, c, err := r.b.chunkAt(t.Context(), j, n)
		if err != nil || c.First != int64(n+1) || c.Records != 1 {
			t.Errorf("chunk %d is %+v, %v", n, c, err)
		}
	}
}

// A Parquet file that changes while it is read ends the job.
func TestParquet_changed(t *testing.T) {
	r := newRig(t)
	r.limits = Limits{ChunkBytes: 1, Window: 2}
	r.restart()
	body := written(t, "parquet", rows(20), r.dep.(*tariff).in, 2)
	r.putBytes("in.parquet", body)
	id := r.submit(between("in.parquet", "out.csv", ""))
	r.deliver(JobQueue) // admit
	r.deliver(JobQueue) // plan
	r.putBytes("in.parquet", body)
	r.drain()
	if s := r.status(id); s.StatusCode != Failed || details(s) != "InvalidBlob: input1 changed while the job was reading it" {
		t.Errorf("%s: %s", s.StatusCode, details(s))
	}
}

// Row groups of an output: some for each chunk, and those of many rows cut.
func TestParquet_rowGroups(t *testing.T) {
	l, err := frame.NewLayout(frame.Schema{{Name: "id"}, {Name: "x", Type: frame.Double}, {Name: "c", Levels: []string{"a"}}})
	if err != nil {
		t.Fatal(err)
	}
	f := l.New(0)
	const n = groupRows + 1000
	for i := range n {
		f.Cols[0].AppendString(fmt.Appendf(nil, "r%d", i))
		f.Cols[1].AppendFloat(float64(i))
		f.Cols[2].AppendString([]byte{byte('a' + i%3)})
	}
	p := newPrinter("parquet")
	data, err := p.head(l.Schema, false)
	if err != nil {
		t.Fatal(err)
	}
	var said []byte
	for _, rows := range []int{n, 0, 10} {
		var part []byte
		for lo := 0; lo < rows; lo += 5000 {
			if part, err = p.append(part, f, lo, min(lo+5000, rows)); err != nil {
				t.Fatal(err)
			}
		}
		part, tail, err := p.part(part)
		if err != nil {
			t.Fatal(err)
		}
		data, said = append(data, part...), append(said, tail...)
	}
	tail, err := p.tail(l.Schema, said)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parquet.Open(append(data, tail...))
	if err != nil {
		t.Fatal(err)
	}
	var groups []int64
	for g := range file.Groups() {
		groups = append(groups, file.Rows(g))
	}
	if fmt.Sprint(groups) != fmt.Sprint([]int64{groupRows, 1000, 10}) {
		t.Errorf("row groups of %d rows", groups)
	}
	back, err := parquet.Read(append(data, tail...), l)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := frame.AppendCSV(nil, back.Slice(0, n), ','), frame.AppendCSV(nil, f, ','); !bytes.Equal(got, want) {
		t.Error("the rows differ")
	}
}

// Every storage call of a job over Parquet files, and over compressed ones, is
// lost, has its answer lost, or is where the process dies: the output is the
// same bytes.
func TestFormats_everyCall(t *testing.T) {
	const in = "id,minutes,calls\nA,10,1\n\"C, moved\nin April\",2.5,\nE,-1,3\nF,8,4\nG,16,5\nI,64,7\n"
	for _, way := range []struct{ in, out string }{{"parquet", "parquet"}, {"jsonl.gz", "csv.gz"}, {"csv.zst", "arff.zst"}} {
		run := func(t *testing.T, plan func(r *rig)) (*rig, outcome) {
			r := newRig(t)
			r.limits = Limits{ChunkBytes: 30, MaxChunkBytes: 1 << 20, Window: 2}
			r.restart()
			r.putBytes("in."+way.in, written(t, way.in, in, r.dep.(*tariff).in, 2))
			plan(r)
			id := r.submit(between("in."+way.in, "out."+way.out, `{"RowErrors":"collect"}`))
			r.drain()
			r.revive()
			r.store.Plan()
			r.caller.Plan()
			r.settle()
			s := r.status(id)
			if s.StatusCode != Finished || s.ErrorFile == nil {
				t.Fatalf("status %s: %s\n%s", s.StatusCode, details(s), r.log.String())
			}
			r.noSecret()
			return r, outcome{readAll(t, r.raw.Blobs, "out."+way.out), readAll(t, r.inner.Blobs, strings.TrimPrefix(s.ErrorFile.RelativeLocation, "portico/"))}
		}
		calm, want := run(t, func(*rig) {})
		ours, theirs := len(calm.store.Calls()), len(calm.caller.Calls())
		if got := asCSV(t, way.out, []byte(want.out), calm.dep.(*tariff).out); got != "id,charge,calls\nA,5,1\n\"C, moved\nin April\",1.25,\nF,4,4\nG,8,5\nI,32,7\n" || !strings.Contains(want.errs, "3,input1,Apply Math Operation,") {
			t.Fatalf("undisturbed:\n%s\n%s", got, want.errs)
		}
		t.Logf("%s to %s: %d calls of our store, %d of the caller's", way.in, way.out, ours, theirs)
		try := func(name string, plan func(r *rig)) {
			t.Run(fmt.Sprintf("%s to %s/%s", way.in, way.out, name), func(t *testing.T) {
				t.Parallel()
				if _, got := run(t, plan); got != want {
					t.Errorf("output differs: %q\n%s", got.out, got.errs)
				}
			})
		}
		for i, e := range []faulty.Effect{faulty.FailBefore, faulty.FailAfter, faulty.CrashBefore, faulty.CrashAfter} {
			for n := 1 + i%3*every(t); n <= ours; n += 3 * every(t) {
				try(fmt.Sprintf("call %d of %d: %s", n, ours, e), func(r *rig) { r.store.Plan(faulty.Nth(n, e)) })
			}
			for n := 1; n <= theirs; n += every(t) {
				try(fmt.Sprintf("caller's call %d of %d: %s", n, theirs, e), func(r *rig) { r.caller.Plan(faulty.Nth(n, e)) })
			}
		}
	}
}
