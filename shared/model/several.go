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
	// Ranks are the differences of the probabilities that one model gives a row
	// with each threshold beside its features, that the row's class is above
	// it. Where they do not fall from threshold to threshold, they are sorted.
	Ranks
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
	// Thresholds of Ranks are one less than the classes. Numbered says that a
	// threshold is one feature behind the row's, its number from 0; otherwise
	// it is one for each threshold, 1 in its own and 0 in the others.
	Thresholds int
	Numbered   bool
}

// Extra is how many features a threshold is.
func (s *Several) Extra() int {
	if s.Numbered {
		return 1
	}
	return s.Thresholds
}

// Threshold is feature i of those that threshold k is.
func (s *Several) Threshold(k, i int) float64 {
	switch {
	case s.Numbered:
		return float64(k)
	case k == i:
		return 1
	}
	return 0
}

// The canonical bytes of a Several, little-endian: version, combination and
// number of parts as uint32; of Ranks, which came with version 2, the number of
// thresholds and whether they are numbered as uint32; then of each part scale and center of its
// transform as float64, and name of the engine, name of the transform and body,
// each behind its length as uint32.
const (
	severalVersion = 1
	ranksVersion   = 2
)

// maxParts is as many as linear models have outputs.
const maxParts = linear.MaxOutputs

// Encode checks s and returns its canonical bytes.
func (s *Several) Encode() ([]byte, error) {
	var b []byte
	head := []int{severalVersion, int(s.Combination), len(s.Parts)}
	if s.Combination == Ranks {
		numbered := 0
		if s.Numbered {
			numbered = 1
		}
		head = []int{ranksVersion, int(s.Combination), len(s.Parts), s.Thresholds, numbered}
	}
	for _, v := range head {
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
	Several  // without Parts
	parts    []part
	features int // of a part
}

type part struct {
	engine    engine
	transform Transform
}

func openSeveral(b []byte) (*several, error) {
	s, err := readSeveral(b)
	if err != nil {
		return nil, err
	}
	s.Parts = nil
	return s, nil
}

// readSeveral is openSeveral with the Parts, whose bodies are b's.
func readSeveral(b []byte) (*several, error) {
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
	version, parts := word(0), word(2)
	s := &several{Several: Several{Combination: Combination(min(word(1), math.MaxUint8))}}
	known := version == severalVersion && (s.Combination == Shares && parts >= 2 || s.Combination == Steps && parts >= 1) && parts <= maxParts
	if version == ranksVersion && s.Combination == Ranks && parts == 1 {
		if head = cut(8); head == nil {
			return nil, broken("ranks are cut short")
		}
		if word(0) < 1 || word(0) >= maxParts || word(1) > 1 {
			return nil, broken("a model of ranks with %d thresholds, numbered %d", word(0), word(1))
		}
		known, s.Thresholds, s.Numbered = true, int(word(0)), word(1) == 1
	}
	if !known {
		return nil, broken("several models: version %d, combination %d, %d parts", version, s.Combination, parts)
	}
	for i := range parts {
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
	s.Parts, s.parts = append(s.Parts, p), append(s.parts, part{e, p.Transform})
	if s.Combination != Ranks {
		return nil
	}
	if s.Features() < 1 {
		return broken("a model of ranks with %d features, of which a threshold is %d", s.features, s.Extra())
	}
	for f := range s.features {
		if e.Textual(f) {
			return broken("a model of ranks reads text")
		}
	}
	return nil
}

// Features are those of a row.
func (s *several) Features() int {
	if s.Combination == Ranks {
		return s.features - s.Extra()
	}
	return s.features
}

func (s *several) Outputs() int {
	switch s.Combination {
	case Steps:
		return len(s.parts) + 1
	case Ranks:
		return s.Thresholds + 1
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
	if s.Combination == Ranks {
		p.x = make([]float64, s.features*rows)
	}
	return p
}

type severalPredictor struct {
	s     *several
	parts []predictor
	sums  []float64 // of one part
	x     []float64 // of Ranks: the rows with a threshold
}

func (p *severalPredictor) Predict(x []float64, text []string, n int, out []float64) error {
	if p.s.Combination == Ranks {
		return p.ranks(x, n, out)
	}
	width := p.s.Outputs()
	for i := range p.parts {
		if err := p.part(i, x, text, n, out[i:], width); err != nil {
			return err
		}
	}
	for r := range n {
		if row := out[r*width:][:width]; p.s.Combination == Steps {
			steps(row)
		} else {
			shares(row)
		}
	}
	return nil
}

// part writes what part i gives row r as its probability to out[r*width].
func (p *severalPredictor) part(i int, x []float64, text []string, n int, out []float64, width int) error {
	t := &p.s.parts[i]
	outputs := t.engine.Outputs()
	if err := p.parts[i].Predict(x, text, n, p.sums[:n*outputs]); err != nil {
		return err
	}
	for r := range n {
		sums := p.sums[r*outputs:][:outputs]
		t.transform.apply(sums)
		out[r*width] = sums[outputs-1]
	}
	return nil
}

// ranks gives each row with every threshold to the one part.
func (p *severalPredictor) ranks(x []float64, n int, out []float64) error {
	width, features := p.s.Outputs(), p.s.Features()
	copy(p.x, x[:features*n])
	for k := range p.s.Thresholds {
		p.s.extend(p.x, k, n)
		if err := p.part(0, p.x[:p.s.features*n], nil, n, out[k:], width); err != nil {
			return err
		}
	}
	for r := range n {
		row := out[r*width:][:width]
		fall(row[:width-1])
		steps(row)
	}
	return nil
}

// extend writes threshold k behind the features of n rows.
func (s *several) extend(x []float64, k, n int) {
	for i := range s.Extra() {
		v := s.Threshold(k, i)
		for r := range n {
			x[(s.Features()+i)*n+r] = v
		}
	}
}

// fall sorts probabilities from the highest.
func fall(p []float64) {
	for i := 1; i < len(p); i++ {
		for k := i; k > 0 && p[k] > p[k-1]; k-- {
			p[k], p[k-1] = p[k-1], p[k]
		}
	}
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
