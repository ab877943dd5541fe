package batch

import (
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
)

// However an input is cut, its chunks lie one behind the other, begin and end
// between records, and have the records that reading it in one go gives.
func FuzzCutter(f *testing.F) {
	f.Add([]byte("A,1\nB,2\n"), 3, 2)
	f.Add([]byte(dirty), 30, 7)
	f.Add([]byte("\"A\r\nB\",1\r\n\r\n\r\nC,2\r"), 1, 1)
	f.Add([]byte("\"never closed\nA,1\nB,2\n"), 4, 5)
	f.Add([]byte("a\"b,1\n\"\"\"\",2"), 2, 3)
	f.Add([]byte("{\"a\":\"x\"}\n\n  \t\n{\"b\":\"\\n\"}"), 2, 3)
	f.Add([]byte("1 1:2 # x\n# "+"long long long long"+"\n2 2:1"), 2, 3)
	schema := frame.Schema{{Name: "a", Type: frame.String}, {Name: "b", Type: frame.String}}
	l, err := frame.NewLayout(schema)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, size, piece int) {
		if size < 1 || size > 1<<20 || piece < 1 || piece > 1<<20 || len(data) > 1<<16 {
			t.Skip()
		}
		for _, name := range []string{format.CSV, format.JSONL, format.SVMLight} {
			kind := format.Lookup(name)
			count := func(data []byte) frame.Counts {
				h, err := kind.Begin(nil, l, format.Reading{NoHeader: true, Workers: 1, OnBad: func(frame.BadRecord) error { return nil }})
				if err != nil {
					t.Fatal(err)
				}
				c, err := h.Append(l.New(0), data, frame.Start{Record: 1})
				if err != nil {
					t.Skip("not UTF-8")
				}
				return c
			}
			all := count(data)
			seg := &segment{}
			limit := int64(size) * 4
			c := cutter{seg: seg, scan: kind.Scanner(frame.ScanState{}), size: int64(size), limit: limit}
			c.begin()
			full := false
			for rest := data; len(rest) > 0 && !full; {
				n := min(piece, len(rest))
				full = c.take(rest[:n])
				rest = rest[n:]
			}
			if full {
				if len(seg.Chunks) < segmentChunks {
					t.Fatalf("%s: full with %d chunks", name, len(seg.Chunks))
				}
				continue
			}
			c.finish()
			offset, records := int64(0), int64(0)
			for i, ch := range seg.Chunks {
				if ch.Offset != offset || ch.Length <= 0 || ch.First != records+1 || ch.Offset+ch.Length > int64(len(data)) {
					t.Fatalf("%s: chunk %d is %+v, behind offset %d and %d records", name, i, ch, offset, records)
				}
				part := data[ch.Offset : ch.Offset+ch.Length]
				if got := count(part); got.Records != ch.Records {
					t.Fatalf("%s: chunk %d %q has %d records, the plan says %d", name, i, part, got.Records, ch.Records)
				}
				// A line that is no record may be long, too.
				if ch.Long && (ch.Records > 1 || ch.Records == 0 && name == format.CSV || ch.Length <= limit) {
					t.Fatalf("%s: chunk %d is long: %+v", name, i, ch)
				}
				offset, records = ch.Offset+ch.Length, records+ch.Records
			}
			if records != all.Records {
				t.Fatalf("%s: %d records in the chunks, %d in the input %q", name, records, all.Records, data)
			}
			if rest := data[offset:]; count(rest).Records != 0 {
				t.Fatalf("%s: %q is in no chunk", name, rest)
			}
		}
	})
}

// No body makes decoding panic, and what it refuses it refuses with a fault
// that names no value.
func FuzzDecodeRequest(f *testing.F) {
	for _, b := range []string{
		`{}`, `null`, `[]`, `{"Inputs":{"a":{"ConnectionString":"x"}},"Outputs":{"o":null},"GlobalParameters":{"p":1,"q":[1],"r":null}}`,
		`{"Input":{"BaseLocation":"x"},"Output":{"RelativeLocation":"y"},"Options":{"MaxBadRows":1e3}}`, `{"Inputs":{"a":[{"x":1}]}}`,
		`{"inputs":{"a":{"ColumnNames":["x"],"Values":[]}}}`,
	} {
		f.Add([]byte(b))
	}
	ports := newTariff(f, false).manifest
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := decodeRequest(body)
		if err != nil {
			return
		}
		r.parameters()
		if in, err := r.inputs(ports.Inputs); err == nil {
			for _, raw := range in {
				inline(raw)
			}
		}
		if _, err := r.outputs(ports.Outputs); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
	})
}
