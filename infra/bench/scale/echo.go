package main

import (
	"context"
	"math/rand/v2"
	"strings"

	"github.com/portico-ml/portico/infra/samples"
	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
)

// echo is a deployment without a model: the customers of the churn sample as
// they came, and beside them a label and a probability, of the length of real
// ones. What it costs to score is given to the simulation as a number.
type echo struct {
	manifest *service.Manifest
	in, out  *frame.Layout
	sample   [][]string
}

func newEcho() (*echo, error) {
	all, err := samples.Customers()
	if err != nil {
		return nil, err
	}
	var in frame.Schema
	for _, name := range all[0] {
		in = append(in, frame.Field{Name: name, Type: frame.String, Nullable: true})
	}
	out := append(in[:len(in):len(in)], frame.Field{Name: "Scored Labels", Type: frame.String}, frame.Field{Name: "Scored Probabilities", Type: frame.Double})
	d := &echo{sample: all, manifest: &service.Manifest{
		Format: 1, Inputs: []service.Port{{Name: "input1", Schema: in}}, Outputs: []service.Port{{Name: "output1", Schema: out}},
	}}
	if d.in, err = frame.NewLayout(in); err != nil {
		return nil, err
	}
	d.out, err = frame.NewLayout(out)
	return d, err
}

// rows is at least n bytes of customers, with the header.
func (d *echo) rows(n int64) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	b := []byte(strings.Join(d.sample[0], ",") + "\n")
	for int64(len(b)) < n {
		b = append(b, strings.Join(d.sample[1+rnd.IntN(len(d.sample)-1)], ",")...)
		b = append(b, '\n')
	}
	return b
}

func (d *echo) Manifest() *service.Manifest { return d.manifest }
func (d *echo) Input(int) *frame.Layout     { return d.in }
func (d *echo) Session() batch.Session {
	return &echoSession{in: []*frame.Frame{d.in.New(0)}, out: []*frame.Frame{d.out.New(0)}, rnd: rand.New(rand.NewPCG(3, 4))}
}

type echoSession struct {
	in, out []*frame.Frame
	rnd     *rand.Rand
}

func (s *echoSession) Inputs() []*frame.Frame { return s.in }

func (s *echoSession) SetParameters(map[string]string) error { return nil }

var label = []byte("no")

func (s *echoSession) Score(context.Context) ([]*frame.Frame, error) {
	in, out := s.in[0], s.out[0]
	for r := range in.Rows() {
		for c := range in.Cols {
			out.Cols[c].AppendFrom(in.Cols[c], r)
		}
		out.Cols[len(in.Cols)].AppendString(label)
		out.Cols[len(in.Cols)+1].AppendFloat(s.rnd.Float64())
	}
	return s.out, nil
}

func (s *echoSession) Execute(ctx context.Context) ([]module.Value, error) {
	out, err := s.Score(ctx)
	return []module.Value{module.Table(out[0])}, err
}

func (s *echoSession) Counts() scoring.Counts { return scoring.Counts{Rows: s.in[0].Rows()} }

func (s *echoSession) SetOutside(module.Outside) {}

func (s *echoSession) Reset() {
	s.in[0].Reset()
	s.out[0].Reset()
}

func (s *echoSession) Release() {}
