package model

import (
	"encoding/binary"
	"math"

	"github.com/portico-ml/portico/shared/model/linear"
)

// Combination is how the probabilities of several two-class models become
// those of many classes.
type Combination uint8

const (
	// Shares are the models' probabilities, one of each class, divided by
	// their sum.
	Shares Combination = iota
	// Steps are the differences of the models' probabilities, model k's being
	// that a row's class is above class k in the classes' order. A model's
	// probability counts as no higher than the one before it.
	Steps
)

// Part is one two-class model in a Several: it reads the features of the whole.
type Part struct {
	Engine    string
	Body      []byte // the engine's canonical bytes
	Transform Transform
}

// Several is a model of many classes made of two-class models. Its raw sums
// are the classes' probabilities.
type Several struct {
	Combination Combination
	Parts       []Part
}

// The canonical bytes of a Several, little-endian: version, combination and
// number of parts as uint32; then of each part scale and center of its
// transform as float64, and name of the engine, name of the transform and body,
// each behind its length as uint32.
const severalVersion = 1

// maxParts is as many as linear models have outputs.
const maxParts = linear.MaxOutputs

// Encode checks s and returns its canonical bytes.
func (s *Several) Encode() ([]byte, error) {
	var b []byte
	for _, v := range []int{severalVersion, int(s.Combination), len(s.Parts)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	for _, p := range s.Parts {
		for _, v := range []float64{p.Transform.Scale, p.Transform.Center} {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		for _, text := range []string{p.Engine, p.Transform.Name, string(p.Body)} {
			b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
			b = append(b, text...)
		}
	}
	if _, err := openSeveral(b); err != nil {
		return nil, err
	}
	return b, nil
}

// several is an opened Several.
type several struct {
	combination Combination
	parts       []part
	features    int
}

type part struct {
	engine    engine
	transform Transform
}

func openSeveral(b []byte) (*several, error) {
	cut := func(n uint64) []byte {
		if n > uint64(len(b)) {
			return nil
		}
		head := b[:n:n]
		b = b[n:]
		return head
	}
	head := cut(12)
	if head == nil {
		return nil, broken("several models in %d bytes", len(b))
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(head[4*i:]) }
	if v, c, n := word(0), word(1), word(2); v != severalVersion || c > uint32(Steps) || n < 1 || n > maxParts || c == uint32(Shares) && n < 2 {
		return nil, broken("several models: version %d, combination %d, %d parts", v, c, n)
	}
	s := &several{combination: Combination(word(1))}
	for i := range word(2) {
		var p Part
		numbers := cut(16)
		if numbers == nil {
			return nil, broken("model %d of several is cut short", i)
		}
		p.Transform.Scale = math.Float64frombits(binary.LittleEndian.Uint64(numbers))
		p.Transform.Center = math.Float64frombits(binary.LittleEndian.Uint64(numbers[8:]))
		var texts [3][]byte
		for k := range texts {
			length := cut(4)
			if length == nil {
				return nil, broken("model %d of several is cut short", i)
			}
			n := binary.LittleEndian.Uint32(length)
			if texts[k] = cut(uint64(n)); texts[k] == nil {
				return nil, broken("model %d of several is cut short", i)
			}
		}
		p.Engine, p.Transform.Name, p.Body = string(texts[0]), string(texts[1]), texts[2]
		if err := s.add(p); err != nil {
			return nil, err
		}
	}
	if len(b) > 0 {
		return nil, broken("%d bytes follow the last of several models", len(b))
	}
	return s, nil
}

func (s *several) add(p Part) error {
	if p.Engine == EngineSeveral {
		return broken("several models of several")
	}
	e, err := openEngine(p.Engine, p.Body)
	if err != nil {
		return err
	}
	n, known := p.Transform.outputs()
	switch {
	case !known || n != 0 && n != e.Outputs() || e.Outputs() == 2 && p.Transform.Name == Identity:
		return broken("one of several models has transform %q for %d outputs", p.Transform.Name, e.Outputs())
	case math.IsNaN(p.Transform.Scale) || math.IsInf(p.Transform.Scale, 0):
		return broken("one of several models has a transform of scale %v", p.Transform.Scale)
	case e.Outputs() > 2:
		return broken("one of several models has %d outputs, a two-class model has one or two", e.Outputs())
	case len(s.parts) > 0 && e.Features() != s.features:
		return broken("several models of %d and of %d features", s.features, e.Features())
	}
	s.features = e.Features()
	s.parts = append(s.parts, part{e, p.Transform})
	return nil
}

func (s *several) Features() int { return s.features }

func (s *several) Outputs() int {
	if s.combination == Steps {
		return len(s.parts) + 1
	}
	return len(s.parts)
}

func (s *several) Textual(f int) bool {
	for i := range s.parts {
		if s.parts[i].engine.Textual(f) {
			return true
		}
	}
	return false
}

func (s *several) predictor(rows int) predictor {
	p := &severalPredictor{s: s, sums: make([]float64, 2*rows)}
	for i := range s.parts {
		p.parts = append(p.parts, s.parts[i].engine.predictor(rows))
	}
	return p
}

type severalPredictor struct {
	s     *several
	parts []predictor
	sums  []float64 // of one part
}

func (p *severalPredictor) Predict(x []float64, text []string, n int, out []float64) error {
	width := p.s.Outputs()
	for i := range p.parts {
		t := &p.s.parts[i]
		outputs := t.engine.Outputs()
		if err := p.parts[i].Predict(x, text, n, p.sums[:n*outputs]); err != nil {
			return err
		}
		for r := range n {
			sums := p.sums[r*outputs:][:outputs]
			t.transform.apply(sums)
			out[r*width+i] = sums[outputs-1]
		}
	}
	for r := range n {
		if row := out[r*width:][:width]; p.s.combination == Steps {
			steps(row)
		} else {
			shares(row)
		}
	}
	return nil
}

// shares divides probabilities by their sum.
func shares(p []float64) {
	sum := 0.0
	for _, v := range p {
		sum += v
	}
	for k := range p {
		if sum == 0 { // no class has a chance: they are alike
			p[k] = 1 / float64(len(p))
		} else {
			p[k] /= sum
		}
	}
}

// steps makes probabilities of all but the last number, which are of being
// above the first class, the second and so on.
func steps(p []float64) {
	before := 1.0
	for k, v := range p[:len(p)-1] {
		if v > before {
			v = before
		}
		p[k], before = before-v, v
	}
	p[len(p)-1] = before
}
