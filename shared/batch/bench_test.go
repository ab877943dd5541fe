package batch

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
)

// echo is a deployment that gives its input back: what a chunk costs besides
// scoring.
type echo struct{ l *frame.Layout }

func (e echo) Manifest() *service.Manifest {
	return &service.Manifest{Inputs: []service.Port{{Name: "input1"}}, Outputs: []service.Port{{Name: "output1"}}}
}
func (e echo) Input(int) *frame.Layout { return e.l }
func (e echo) Session() Session        { return &echoSession{f: []*frame.Frame{e.l.New(0)}} }

type echoSession struct {
	Session
	f []*frame.Frame
}

func (s *echoSession) Inputs() []*frame.Frame                        { return s.f }
func (s *echoSession) SetParameters(map[string]string) error         { return nil }
func (s *echoSession) Score(context.Context) ([]*frame.Frame, error) { return s.f, nil }
func (s *echoSession) Counts() scoring.Counts                        { return scoring.Counts{} }
func (s *echoSession) Reset()                                        { s.f[0].Reset() }
func (s *echoSession) Release()                                      {}

// BenchmarkChunk is one chunk of 8 MiB, from its bytes to the bytes that are
// staged: 20 columns, as of a telecom's customers, all echoed.
func BenchmarkChunk(b *testing.B) {
	schema := frame.Schema{
		{Name: "customer_id", Type: frame.String, Role: frame.ID},
		{Name: "state", Type: frame.String, Levels: []string{"AK", "AL", "AR", "NY", "OH"}},
		{Name: "plan", Type: frame.String, Levels: []string{"no", "yes"}},
	}
	for i := range 17 {
		f := frame.Field{Name: fmt.Sprintf("c%d", i), Type: frame.Double, Nullable: true}
		if i%2 == 0 {
			f.Type = frame.Int32
		}
		schema = append(schema, f)
	}
	l, err := frame.NewLayout(schema)
	if err != nil {
		b.Fatal(err)
	}
	var in strings.Builder
	head := strings.Join(schema.Names(), ",") + "\n"
	rows := 0
	for ; in.Len() < 8<<20; rows++ {
		fmt.Fprintf(&in, "C%07d,%s,%s", rows, schema[1].Levels[rows%5], schema[2].Levels[rows%2])
		for i := range 17 {
			if i%2 == 0 {
				fmt.Fprintf(&in, ",%d", (rows*7+i)%200)
			} else {
				fmt.Fprintf(&in, ",%g", float64((rows*31+i)%40000)/100)
			}
		}
		in.WriteByte('\n')
	}
	bt := &Batch{lim: Limits{}.withDefaults()}
	j := &job{Inputs: []source{{Name: "input1", Format: "csv"}}, Outputs: []sink{{Name: "output1", Format: "csv"}}, Options: Options{RowErrors: rowsCollect, ExtraColumns: extrasIgnore}}
	data := []byte(in.String())
	buf := bt.buffer(j)
	kind, _ := fileKind("csv")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		buf.out[0], buf.out[1] = buf.out[0][:0], buf.out[1][:0]
		s := &sheet{j: j, buf: buf, chunks: 1}
		h, err := kind.Begin([]byte(head), l, bt.reading(j, 0, s.bad))
		if err != nil {
			b.Fatal(err)
		}
		if err := s.score(b.Context(), echo{l}, textBlocks(kind, h, data, frame.Start{Record: 1, Line: 2}), nil); err != nil {
			b.Fatal(err)
		}
		if s.RowsIn != int64(rows) || s.RowsOut != int64(rows) {
			b.Fatalf("%d rows in, %d out, want %d", s.RowsIn, s.RowsOut, rows)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
