package batch

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/storage"
)

var update = flag.Bool("update", false, "write testdata/badinput.txt anew")

// badInput is what files that are not as they should be do to a job, in the
// order of testdata/badinput.txt.
type badInput struct {
	name, in string
	limits   Limits
	whole    bool
	options  []string // of a job each; nil: both policies
	meanwhile
}

// meanwhile is what happens to the input while the job is at it.
type meanwhile struct {
	after int // messages
	do    func(r *rig)
}

var bothPolicies = []string{`{"RowErrors":"fail"}`, `{"RowErrors":"collect"}`}

// four makes chunks of about four rows.
var four = Limits{ChunkBytes: 20, MaxChunkBytes: 1 << 20, RecordBytes: 64, Window: 2}

// share is an input of 200 rows of which so many in a hundred are bad.
func share(percent int) string {
	var in strings.Builder
	in.WriteString("id,minutes\n")
	for i := range 200 {
		minutes := "2"
		if (i*percent+percent/2)%100 < percent {
			minutes = "x"
		}
		fmt.Fprintf(&in, "R%d,%s\n", i+1, minutes)
	}
	return in.String()
}

func badInputs() []badInput {
	const good = "id,minutes\nA,2\nB,4\nC,6\nD,8\nE,10\nF,12\nG,14\nH,16\n"
	line := func(n int) string { return strings.Repeat("x", n) }
	thresholds := append(bothPolicies,
		`{"RowErrors":"collect","MaxBadRows":0}`, `{"RowErrors":"collect","MaxBadRows":2}`, `{"RowErrors":"collect","MaxBadRows":100}`,
		`{"RowErrors":"collect","MaxBadPercent":0}`, `{"RowErrors":"collect","MaxBadPercent":1}`, `{"RowErrors":"collect","MaxBadPercent":50}`, `{"RowErrors":"collect","MaxBadPercent":99.5}`,
		`{"RowErrors":"collect","MaxBadRows":100,"MaxBadPercent":1}`)
	change := func(after int) meanwhile {
		return meanwhile{after, func(r *rig) { r.put("in.csv", good) }}
	}
	remove := func(after int) meanwhile {
		return meanwhile{after, func(r *rig) {
			if err := r.raw.Blobs.Delete(r.t.Context(), "in.csv", storage.Condition{}); err != nil {
				r.t.Fatal(err)
			}
		}}
	}
	return []badInput{
		{name: "no bad rows", in: share(0), options: thresholds},
		{name: "1 % bad rows", in: share(1), options: thresholds},
		{name: "50 % bad rows", in: share(50), options: thresholds},
		{name: "100 % bad rows", in: share(100), options: thresholds},
		{name: "1 % bad rows, in many chunks", in: share(1), limits: Limits{ChunkBytes: 200}, options: thresholds},
		{name: "1 % bad rows, in a whole job", in: share(1), whole: true, options: thresholds},

		{name: "a field too few", in: "id,minutes,calls\nA,2,1\nB,4\nC,6,1\n"},
		{name: "a field too many", in: "id,minutes\nA,2\nB,4,1\nC,6\n"},
		{name: "a number that is none", in: "id,minutes\nA,2\nB,1O\nC,6\n"},
		{name: "a fraction for a whole number", in: "id,minutes,calls\nA,2,1\nB,4,2.5\n"},
		{name: "a number too large", in: "id,minutes\nA,1e999\nB,4\n"},

		{name: "not UTF-8, in the header", in: "id,minut\xe9s\nA,2\n"},
		{name: "not UTF-8, in a row", in: "id,minutes\nA,2\n\xe9,4\nC,6\n"},
		{name: "not UTF-8, in the second of three chunks", in: "id,minutes\nA,2\nB,4\nC,6\nD,8\nE,10\nF\xe9,12\nG,14\nH,16\nI,18\nJ,20\n", limits: four},
		{name: "UTF-16", in: "\xff\xfei\x00d\x00"},
		{name: "gzip under the name of text", in: "\x1f\x8b\x08\x00\x00\x00"},
		{name: "a workbook under the name of text", in: "PK\x03\x04\x14\x00\x06\x00"},

		{name: "a quote not closed", in: "id,minutes\nA,2\n\"B,4\nC,6\n"},
		{name: "a quote not closed, in the first of many chunks", in: "id,minutes\nA,2\n\"B,4\n" + good[11:] + good[11:], limits: four},
		{name: "a quote not closed, in the last chunk", in: good + "\"I,18\n", limits: four},
		{name: "a quote not closed, in the header", in: "id,\"minutes\nA,2\n"},
		{name: "a quote in a bare field", in: "id,minutes\nA\"B,2\nC,4\n"},
		{name: "text behind a quoted field", in: "id,minutes\n\"A\"B,2\nC,4\n"},

		{name: "a line too long, the first", in: "id,minutes\n" + line(100) + ",2\nB,4\n", limits: four},
		{name: "a line too long, in the middle", in: "id,minutes\nA,2\nB,4\n" + line(100) + ",6\nD,8\nE,10\n", limits: four},
		{name: "a line too long, the last", in: "id,minutes\nA,2\nB,4\n" + line(100) + ",6\n", limits: four},
		{name: "a line too long, the last, without a line end", in: "id,minutes\nA,2\nB,4\n" + line(100) + ",6", limits: four},
		{name: "a line too long and nothing else", in: "id,minutes\n" + line(100), limits: four},
		{name: "a header too long", in: line(1<<20+100) + "\nA,2\n"},

		{name: "empty", in: ""},
		{name: "one byte", in: "x"},
		{name: "one line end", in: "\n"},
		{name: "header only", in: "id,minutes\n"},
		{name: "header only, without a line end", in: "id,minutes"},
		{name: "byte order mark only", in: "\ufeff"},
		{name: "byte order mark", in: "\ufeffid,minutes\nA,2\n"},
		{name: "byte order mark before a quote", in: "\ufeff\"id\",minutes\nA,2\n"},
		{name: "NUL in a text", in: "id,minutes\nA\x00,2\nB,4\n"},
		{name: "NUL in a number", in: "id,minutes\nA,2\x00\nB,4\n"},
		{name: "NULs only", in: strings.Repeat("\x00", 40)},
		{name: "CR for a line end", in: "id,minutes\rA,2\rB,4\r"},
		{name: "CRLF", in: "id,minutes\r\nA,2\r\nB,4\r\n"},
		{name: "blank lines", in: "id,minutes\n\n\nA,2\n\nB,4\n\n"},

		{name: "column twice", in: "id,minutes,minutes\nA,2,3\n"},
		{name: "unknown column twice", in: "id,minutes,x,x\nA,2,3,4\n"},
		{name: "missing column", in: "id,calls\nA,2\n"},
		{name: "missing column, another's case", in: "id,Minutes\nA,2\n"},
		{
			name: "unknown column", in: "id,minutes,x\nA,2,3\n",
			options: []string{`{"ExtraColumns":"ignore"}`, `{"ExtraColumns":"error"}`, `{"ExtraColumns":"error","RowErrors":"collect"}`},
		},
		{name: "no header", in: "A,2\nB,4\n"},
		{name: "another separator", in: "id;minutes\nA;2\n"},

		{name: "changed before it is split", in: good, limits: four, meanwhile: change(1)},
		{name: "changed before the first chunk", in: good, limits: four, meanwhile: change(2)},
		{name: "changed between two chunks", in: good, limits: four, meanwhile: change(3)},
		{name: "changed after the last chunk", in: good, limits: four, meanwhile: change(5)},
		{name: "changed before a whole job reads it", in: good, whole: true, meanwhile: change(2)},
		{name: "deleted before it is split", in: good, limits: four, meanwhile: remove(1)},
		{name: "deleted between two chunks", in: good, limits: four, meanwhile: remove(3)},
		{name: "deleted before a whole job reads it", in: good, whole: true, meanwhile: remove(2)},
	}
}

// TestBadInput writes down what becomes of each file, and compares.
func TestBadInput(t *testing.T) {
	var got strings.Builder
	for _, b := range badInputs() {
		fmt.Fprintf(&got, "== %s\n", b.name)
		if len(b.in) < 200 {
			fmt.Fprintf(&got, "   %q\n", b.in)
		}
		options := b.options
		if options == nil {
			options = bothPolicies
		}
		said := map[string]string{} // by what became, the first options
		for _, o := range options {
			text := b.run(t, o)
			if first, ok := said[text]; ok {
				text = "   as " + first + "\n"
			} else {
				said[text] = o
			}
			fmt.Fprintf(&got, " %s\n%s", o, text)
		}
	}
	golden := filepath.Join("testdata", "badinput.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("%s (-update writes it anew):\n%s", golden, diff)
	}
}

// run is what becomes of a job, as text.
func (b *badInput) run(t *testing.T, options string) string {
	t.Helper()
	r := newRig(t)
	r.limits, r.dep = b.limits, newTariff(t, b.whole)
	r.restart()
	r.put("in.csv", b.in)
	id := r.submit(body(options))
	for n := 0; b.do != nil && n < b.after; n++ {
		m, queue := r.next()
		r.handle(queue, m)
	}
	if b.do != nil {
		b.do(r)
	}
	r.drain()
	s := r.status(id)
	var out strings.Builder
	fmt.Fprintf(&out, "   %s", s.StatusCode)
	if s.StatusCode != Finished {
		fmt.Fprintf(&out, ": %s\n", details(s))
		if _, err := r.raw.Blobs.Head(t.Context(), "out.csv"); err == nil {
			t.Errorf("%s, %s: a job that failed wrote its output", b.name, options)
		}
		r.gone(id)
		return out.String()
	}
	p := s.Progress
	fmt.Fprintf(&out, ": %d rows in %d chunks, %d written, %d bad", p.RowsRead, p.Chunks, p.RowsWritten, p.BadRows)
	if p.IgnoredColumns > 0 {
		fmt.Fprintf(&out, ", %d columns ignored", p.IgnoredColumns)
	}
	out.WriteString("\n")
	o := r.outcome(id)
	for _, file := range []struct{ name, text string }{{"out", o.out}, {"err", o.errs}} {
		lines := strings.SplitAfter(file.text, "\n")
		for i, line := range lines[:len(lines)-1] {
			if i == 3 && len(lines) > 6 {
				fmt.Fprintf(&out, "   %s … %d more lines\n", file.name, len(lines)-1-i)
				break
			}
			fmt.Fprintf(&out, "   %s %.300q\n", file.name, strings.TrimSuffix(line, "\n"))
		}
	}
	return out.String()
}

// A line of 100 MB is one bad row wherever it is, and costs no memory to speak
// of.
func TestBadInput_hugeLine(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 600 MB")
	}
	const size = 100_000_000
	for _, at := range []string{"start", "middle", "end"} {
		for _, options := range bothPolicies {
			r := newRig(t)
			before, after := "id,minutes\n", ",1\nC,6\n"
			switch at {
			case "middle":
				before += "A,2\n"
			case "end":
				before, after = before+"A,2\n", ""
			}
			r.putHuge("in.csv", before, size, after)
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			begun := m.TotalAlloc
			id := r.submit(body(options))
			r.drain()
			runtime.ReadMemStats(&m)
			if used := m.TotalAlloc - begun; used > 64<<20 {
				t.Errorf("%s, %s: %d MB were allocated in all", at, options, used>>20)
			}
			row := strings.Count(before, "\n")
			if options == bothPolicies[0] {
				want := fmt.Sprintf("InputParseError: input1, at least row %d (line %d): the record is longer than the limit of 4194304 bytes: it has %d", row, row+1, size+len(",1\n"))
				if at == "end" {
					want = strings.Replace(want, fmt.Sprint(size+3), fmt.Sprint(size), 1)
				}
				if s := r.status(id); s.StatusCode != Failed || strings.Replace(details(s), "at least row", "row", 1) != strings.Replace(want, "at least row", "row", 1) {
					t.Errorf("%s: %s %s, want %s", at, s.StatusCode, details(s), want)
				}
				continue
			}
			o := r.outcome(id)
			if p := r.status(id).Progress; p.BadRows != 1 || p.RowsRead != int64(row+strings.Count(after, "\n")-min(1, len(after))) {
				t.Errorf("%s: %+v", at, p)
			}
			if len(o.errs) > 2*rawMax || !strings.Contains(o.errs, fmt.Sprintf("\n%d,input1,,InputParseError,", row)) {
				t.Errorf("%s: error file of %d bytes: %.200s", at, len(o.errs), o.errs)
			}
		}
	}
}

// putHuge stores a file of the caller's with a line of n bytes in it, in parts.
func (r *rig) putHuge(key, before string, n int, after string) {
	r.t.Helper()
	piece := bytes.Repeat([]byte("x"), 4<<20)
	var ids []storage.PartID
	put := func(body []byte) {
		if len(body) == 0 {
			return
		}
		id := partID("huge", "", key, len(ids))
		ids = append(ids, id)
		if err := r.raw.Blobs.PutPart(r.t.Context(), key, id, body); err != nil {
			r.t.Fatal(err)
		}
	}
	put([]byte(before))
	for ; n > 0; n -= min(n, len(piece)) {
		put(piece[:min(n, len(piece))])
	}
	put([]byte(after))
	if _, err := r.raw.Blobs.Commit(r.t.Context(), key, ids, nil, storage.Condition{}); err != nil {
		r.t.Fatal(err)
	}
}
