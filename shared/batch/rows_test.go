package batch

import (
	"fmt"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

// What a file does that is not as it should be.
func TestRows(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, tt := range []struct {
		name, in, options string
		limits            Limits
		out               string // of a finished job
		errs              string // rows of the error file, each up to its reason
		details           string // of a failed job
	}{
		{name: "policy fail names the row", in: dirty, details: `InputParseError: input1, row 2 (line 3): column "minutes" (Double): value "12O" is not a number`},
		{name: "policy fail among chunks", in: dirty, limits: dirtyLimits, details: `InputParseError: input1, at least row 2 (line 3): column "minutes" (Double): value "12O" is not a number`},
		{name: "a row that scoring refuses", in: "id,minutes\nA,1\nB,-2\n", details: "NegativeMinutes: input1, row 2 (line 3): minutes are negative"},
		{name: "collect", in: dirty, options: `{"RowErrors":"collect"}`, out: dirtyOut, errs: dirtyErrors},
		{
			name: "all rows bad", in: "id,minutes,calls\nA,x,1\nB,-1,1\n", options: `{"RowErrors":"collect"}`, out: "id,charge,calls\n",
			errs: "row,input,column,code,reason,raw\n" + `1,input1,minutes,InputParseError,"column ""minutes"" (Double): value ""x"" is not a number","A,x,1"` + "\n2,input1,Apply Math Operation,NegativeMinutes,minutes are negative,\"B,-1,1\"\n",
		},
		{name: "threshold of rows held", in: dirty, options: `{"RowErrors":"collect","MaxBadRows":4}`, out: dirtyOut, errs: dirtyErrors},
		{name: "threshold of rows passed", in: dirty, options: `{"RowErrors":"collect","MaxBadRows":3}`, details: "InputParseError: 4 of 9 rows are bad; the job allows 3"},
		{name: "threshold of rows passed early", in: dirty, limits: dirtyLimits, options: `{"RowErrors":"collect","MaxBadRows":0}`, details: "rows so far are bad; the job allows 0"},
		{name: "threshold in percent held", in: dirty, options: `{"RowErrors":"collect","MaxBadPercent":44.5}`, out: dirtyOut, errs: dirtyErrors},
		{name: "threshold in percent passed", in: dirty, options: `{"RowErrors":"collect","MaxBadPercent":44}`, details: "InputParseError: 4 of 9 rows are bad; the job allows 44 %"},
		{name: "empty file", in: "", details: "the file is empty"},
		{name: "header only", in: "id,minutes\n", out: "id,charge,calls\n"},
		{name: "header without a line end", in: "id,minutes", out: "id,charge,calls\n"},
		{name: "no line end", in: "id,minutes\nA,2", out: "id,charge,calls\nA,1,\n"},
		{name: "CRLF, BOM, blank lines, other order", in: "\ufeffminutes,id\r\n2,A\r\n\r\n\r\n4,B\r\n", out: "id,charge,calls\nA,1,\nB,2,\n"},
		{name: "missing column", in: "id,Minutes\nA,1\n", details: `InputMismatchError: the file has no column "minutes"`},
		{name: "extra column ignored", in: "id,minutes,x\nA,2,3\n", out: "id,charge,calls\nA,1,\n"},
		{name: "extra column refused", in: "id,minutes,x\nA,2,3\n", options: `{"ExtraColumns":"error"}`, details: `InputMismatchError: column "x" of the file is not one of the service`},
		{name: "not UTF-8", in: "id,minutes\nA,2\n\xe9,3\n", options: `{"RowErrors":"collect"}`, details: "the file is not UTF-8: byte 0xE9 on line 3"},
		{name: "UTF-16", in: "\xff\xfei\x00d\x00", details: "UTF-16"},
		{
			name: "a long record", in: "id,minutes\nA,2\n" + long + ",4\nC,6\n", options: `{"RowErrors":"collect"}`, limits: Limits{RecordBytes: 1000},
			out: "id,charge,calls\nA,1,\nC,3,\n", errs: "row,input,column,code,reason,raw\n2,input1,,InputParseError,the record is longer than the limit of 1000 bytes," + long + "\",4\"\n",
		},
		{
			name: "a lone quote", in: "id,minutes\nA,2\n\"B,4\nC,6\n", options: `{"RowErrors":"collect"}`,
			out: "id,charge,calls\nA,1,\n", errs: "row,input,column,code,reason,raw\n2,input1,,InputParseError,a quoted field is not closed,\"\"\"B,4\nC,6\"\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.limits = tt.limits
			r.restart()
			r.put("in.csv", tt.in)
			id := r.submit(body(tt.options))
			r.drain()
			s := r.status(id)
			if tt.details != "" {
				if s.StatusCode != Failed || !strings.Contains(details(s), tt.details) {
					t.Errorf("%s: %s\nwant Failed: %s", s.StatusCode, details(s), tt.details)
				}
				if _, err := r.raw.Blobs.Head(t.Context(), "out.csv"); err == nil {
					t.Error("a failed job wrote its output")
				}
				r.gone(id)
				return
			}
			o := r.outcome(id)
			if o.out != tt.out {
				t.Errorf("output:\n%s\nwant:\n%s", o.out, tt.out)
			}
			want := tt.errs
			if strings.Contains(want, long) { // the raw record is one field, quoted for its comma
				want = strings.Replace(want, long+`",4"`, `"`+long+`,4"`, 1)
			}
			if o.errs != want {
				t.Errorf("error file:\n%s\nwant:\n%s", o.errs, want)
			}
		})
	}
}

// gone fails where a job that failed or was cancelled has left more than its
// plan.
func (r *rig) gone(id string) {
	r.t.Helper()
	for info, err := range r.inner.Blobs.List(r.t.Context(), jobPrefix(ws, id)) {
		if err != nil {
			r.t.Fatal(err)
		}
		if !strings.Contains(info.Key, "/plan/") {
			r.t.Errorf("blob %s is left", info.Key)
		}
	}
	j, err := r.b.load(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	if len(j.sealed) > 0 {
		r.t.Error("the job still has its secrets")
	}
	for _, key := range r.b.stagingKeys(j) {
		if parts, err := r.inner.Blobs.Parts(r.t.Context(), key); err != nil || len(parts) > 0 {
			r.t.Errorf("%d parts of %s are left, %v", len(parts), key, err)
		}
	}
}

// A record far above the limit is one bad row and is never in memory: the
// planner gives it a chunk of its own.
func TestRows_longRecord(t *testing.T) {
	r := newRig(t)
	r.limits = Limits{RecordBytes: 100_000, ChunkBytes: 500_000}
	r.restart()
	r.put("in.csv", "id,minutes\nA,2\n\""+strings.Repeat("long line\n", 700_000)+"\",4\nC,6\n")
	id := r.submit(body(`{"RowErrors":"collect"}`))
	r.drain()
	o := r.outcome(id)
	if want := "id,charge,calls\nA,1,\nC,3,\n"; o.out != want {
		t.Errorf("output:\n%s\nwant:\n%s", o.out, want)
	}
	if want := "2,input1,,InputParseError,the record is longer than the limit of 100000 bytes: it has 7000005,"; !strings.Contains(o.errs, want) || len(o.errs) > 2*rawMax {
		t.Errorf("error file of %d bytes: %.200s\nwant in it %s", len(o.errs), o.errs, want)
	}
}

// Rows that scoring refuses among many cost themselves alone.
func TestRows_refusedAmongMany(t *testing.T) {
	for _, every := range []int{1, 2, 97, 5000} {
		r := newRig(t)
		var in, want strings.Builder
		in.WriteString("id,minutes\n")
		want.WriteString("id,charge,calls\n")
		bad := 0
		for i := 1; i <= 3000; i++ {
			m := i
			if i%every == 0 {
				m = -i
				bad++
			} else {
				fmt.Fprintf(&want, "R%d,%g,\n", i, float64(i)*0.5)
			}
			fmt.Fprintf(&in, "R%d,%d\n", i, m)
		}
		r.put("in.csv", in.String())
		id := r.submit(body(`{"RowErrors":"collect"}`))
		r.drain()
		o := r.outcome(id)
		if o.out != want.String() {
			t.Errorf("every %d: the output differs", every)
		}
		if n := strings.Count(o.errs, "NegativeMinutes"); n != bad {
			t.Errorf("every %d: %d bad rows, want %d", every, n, bad)
		}
		if p := r.status(id).Progress; p.RowsRead != 3000 || p.BadRows != int64(bad) || p.RowsWritten != int64(3000-bad) {
			t.Errorf("every %d: %+v", every, p)
		}
	}
}

// A file that changes while it is read ends the job.
func TestRows_changed(t *testing.T) {
	r := newRig(t)
	r.limits = dirtyLimits
	r.restart()
	r.put("in.csv", rows(20))
	id := r.submit(body(""))
	r.deliver(JobQueue) // admit
	r.deliver(JobQueue) // plan
	r.put("in.csv", rows(20))
	r.drain()
	s := r.status(id)
	if s.StatusCode != Failed || details(s) != "InvalidBlob: input1 changed while the job was reading it" {
		t.Errorf("%s: %s", s.StatusCode, details(s))
	}
}

func TestRows_tsv(t *testing.T) {
	r := newRig(t)
	r.put("in.tsv", "id\tminutes\nA,B\t2\n")
	id := r.submit(strings.NewReplacer("in.csv", "in.tsv", "out.csv", "out.tsv").Replace(body("")))
	r.drain()
	if s := r.status(id); s.StatusCode != Finished {
		t.Fatalf("%s: %s", s.StatusCode, details(s))
	}
	if got, want := readAll(t, r.raw.Blobs, "out.tsv"), "id\tcharge\tcalls\nA,B\t1\t\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
}

// Records in the request are read as RRS reads them, and snapshotted.
func TestInline(t *testing.T) {
	for _, in := range []string{
		`{"ColumnNames":["minutes","id"],"Values":[["2","A"],[null,"B"]]}`,
		`[{"id":"A","minutes":2},{"id":"B"}]`,
	} {
		r := newRig(t)
		id := r.submit(`{"Inputs":{"input1":` + in + `},"Outputs":{"output1":` + ref("out.csv") + `},"GlobalParameters":{"rate":0.5}}`)
		r.drain()
		if got, want := r.outcome(id).out, "id,charge,calls\nA,1,\nB,,\n"; got != want {
			t.Errorf("%s: output %q, want %q", in, got, want)
		}
	}
	r := newRig(t)
	_, err := r.b.Submit(t.Context(), r.submission(`{"Input":[{"id":"A","minutes":"12O"}]}`))
	if !fault.HasCode(err, "InputParseError") {
		t.Errorf("a bad cell: %v", err)
	}
	if _, err := r.b.Submit(t.Context(), r.submission(`{"Input":{"ColumnNames":["id","Minutes"],"Values":[["A","1"]]}}`)); !fault.HasCode(err, "InputMismatchError") {
		t.Errorf("an unknown column: %v", err)
	}
}

// A service of two inputs runs whole.
type joined struct{ *tariff }

func (d joined) Session() Session {
	return &joinedSession{tariffSession: d.tariff.Session().(*tariffSession), d: d}
}

type joinedSession struct {
	*tariffSession
	d joined
}

func (s *joinedSession) Inputs() []*frame.Frame {
	for len(s.in) < 2 {
		s.in = append(s.in, s.d.in.New(0))
	}
	return s.in
}

func TestWhole_twoInputs(t *testing.T) {
	r := newRig(t)
	dep := newTariff(t, false)
	dep.manifest.Inputs = append(dep.manifest.Inputs, service.Port{Name: "input2", Schema: dep.manifest.Inputs[0].Schema})
	r.dep = joined{dep}
	r.restart()
	r.put("a.csv", "id,minutes\nA,2\nB,x\n")
	r.put("b.csv", "id,minutes\nC,y\n")
	id := r.submit(`{"Inputs":{"input2":` + ref("b.csv") + `,"input1":` + ref("a.csv") + `},"Outputs":{"output1":` + ref("out.csv") + `},"Options":{"RowErrors":"collect"}}`)
	r.drain()
	o := r.outcome(id)
	if want := "id,charge,calls\nA,0.34,\n"; o.out != want {
		t.Errorf("output %q, want %q", o.out, want)
	}
	for _, want := range []string{"2,input1,minutes,", "1,input2,minutes,"} {
		if !strings.Contains(o.errs, want) {
			t.Errorf("error file:\n%s\nlacks %s", o.errs, want)
		}
	}
	r.limits.WholeBytes = 10
	r.restart()
	id = r.submitOther(`{"Inputs":{"input2":` + ref("b.csv") + `,"input1":` + ref("a.csv") + `}}`)
	r.drain()
	if s := r.status(id); s.StatusCode != Failed || !strings.Contains(details(s), "takes at most 10") {
		t.Errorf("%s: %s", s.StatusCode, details(s))
	}
}

// submitOther is submit without the key that makes it the same job.
func (r *rig) submitOther(b string) string {
	r.t.Helper()
	s := r.submission(b)
	s.IdempotencyKey = ""
	id, err := r.b.Submit(r.t.Context(), s)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.b.Start(r.t.Context(), ws, endpoint, id, ""); err != nil {
		r.t.Fatal(err)
	}
	return id
}

// A whole job's output is staged in parts and is the same as a chunked one's.
func TestWhole_parts(t *testing.T) {
	in := rows(60_000)
	var outs []string
	for _, whole := range []bool{true, false} {
		r := newRig(t)
		r.dep = newTariff(t, whole)
		r.restart()
		r.put("in.csv", strings.ReplaceAll(in, "C", strings.Repeat("C", 150)))
		id := r.submit(body(""))
		r.drain()
		o := r.outcome(id)
		if whole {
			j, err := r.b.load(t.Context(), id)
			if err != nil || len(j.Totals.Parts[0]) < 2 {
				t.Errorf("parts %v, %v", j.Totals.Parts, err)
			}
		}
		outs = append(outs, o.out)
	}
	if outs[0] != outs[1] {
		t.Error("the outputs differ")
	}
}
