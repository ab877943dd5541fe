// Package counts holds the palette group Data Transformation / Learning with
// Counts: features of how often a value came with each class.
//
// A counting transform is learned by Build Counting Transform; the other modules
// of the group make another of it, of the same kind, so that Apply
// Transformation applies them all.
package counts

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/murmur"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Data Transformation / Learning with Counts"

// Modules returns the group's modules.
func Modules() []*module.Module {
	build := BuildCountingTransform()
	return []*module.Module{
		build, ExportCountTable(), ImportCountTable(&build.Spec), MergeCountTransform(&build.Spec), ModifyCountTableParameters(&build.Spec),
	}
}

var transformOut = module.Port{ID: "Counting transform", Kind: service.Transformation, Doc: "The counts, for Apply Transformation."}

// Count tables: exact up to collisions of one hash, or the least of several.
const (
	dictionary = "Dictionary"
	sketch     = "CMSketch"
)

// sketchDepth is the number of hash functions of a sketch.
const sketchDepth = 4

// What features a transform gives.
const (
	countsOnly  = "CountsOnly"
	logOddsOnly = "LogOddsOnly"
	both        = "BothCountsAndLogOdds"
)

// transform is the learned state.
type transform struct {
	Type     string   `json:"type"`
	Bits     int      `json:"bits"`
	Seed     int64    `json:"seed"`
	Classes  []string `json:"classes"`
	Features features `json:"features"`
	// Columns are those counted, in order.
	Columns []column `json:"columns,omitempty"`
}

// features are how counts become columns.
type features struct {
	Garbage    float64 `json:"garbage"` // a value seen less often goes to the garbage bin
	Prior      float64 `json:"prior"`   // pseudo examples
	Noise      float64 `json:"noise"`   // scale of Laplace's distribution
	Output     string  `json:"output"`
	NoBackOff  bool    `json:"noBackOff,omitempty"`
	NoiseStart int64   `json:"noiseSeed,omitempty"`
}

var defaultFeatures = features{Garbage: 10, Prior: 42, Output: both}

// column is the count table of a column: for each hash function a number by
// class for every hash that came.
type column struct {
	Name   string                 `json:"name"`
	Tables []map[uint32][]float64 `json:"tables"`
}

func (t *transform) depth() int {
	if t.Type == sketch {
		return sketchDepth
	}
	return 1
}

// key is the place of a text in table number d.
func (t *transform) key(text []byte, d int) uint32 {
	return murmur.Sum32(text, uint32(t.Seed)+uint32(d)) & (1<<t.Bits - 1)
}

// count adds a row of a class.
func (t *transform) count(c *column, text []byte, class int) {
	for d := range c.Tables {
		k := t.key(text, d)
		row := c.Tables[d][k]
		if row == nil {
			row = make([]float64, len(t.Classes))
			c.Tables[d][k] = row
		}
		row[class]++
	}
}

func (t *transform) encode(build *module.Spec) (module.Value, error) {
	state, err := json.Marshal(t)
	if err != nil {
		return module.Value{}, module.Errorf(33, "a count is infinite")
	}
	artifact, err := module.EncodeTransformation(build, state)
	return module.Value{Kind: service.Transformation, Artifact: artifact}, err
}

// open reads a counting transform from an input port.
func open(p *module.Palette, v module.Value) (*transform, error) {
	tr, err := p.ReadTransformation(v.Artifact)
	if err != nil {
		return nil, err
	}
	if tr.Module.Group != group {
		return nil, module.Errorf(82, "the transformation was made by %q and has no counts", tr.Module.Name)
	}
	return decode(tr.State)
}

func decode(state []byte) (*transform, error) {
	t := &transform{}
	if err := json.Unmarshal(state, t); err != nil || t.check() != nil {
		return nil, module.Errorf(82, "the counting transform cannot be read")
	}
	return t, nil
}

// check reports what does not hold, as module error 0014 or 0018.
func (t *transform) check() error {
	if t.Type != dictionary && t.Type != sketch || t.Bits < 1 || t.Bits > 31 || len(t.Classes) < 1 || len(t.Classes) > maxClasses {
		return module.Errorf(18, "the count table's description does not hold")
	}
	for _, c := range t.Columns {
		if len(c.Tables) != t.depth() {
			return module.Errorf(18, "column %q has %d count tables, %s needs %d", c.Name, len(c.Tables), t.Type, t.depth())
		}
		for _, table := range c.Tables {
			for _, row := range table {
				if len(row) != len(t.Classes) || slices.ContainsFunc(row, func(v float64) bool { return v < 0 || v != v || math.IsInf(v, 0) }) {
					return module.Errorf(18, "column %q has a row of %d counts for %d classes, or one that is no count", c.Name, len(row), len(t.Classes))
				}
			}
		}
	}
	return nil
}

const maxClasses = 1000

// classesOf returns the different values of the label column: levels in their
// order, numbers by size, else by bytes.
func classesOf(label *frame.Column) []string {
	if label.Field.Categorical() {
		return slices.Clone(label.Field.Levels)
	}
	seen := map[string]int{} // text -> a row that has it
	var text []byte
	for r := range label.Len() {
		if !label.IsNull(r) {
			text = label.Print(text[:0], r)
			if _, ok := seen[string(text)]; !ok {
				seen[string(text)] = r
			}
		}
	}
	classes := make([]string, 0, len(seen))
	for v := range seen {
		classes = append(classes, v)
	}
	slices.SortFunc(classes, func(a, b string) int {
		if f := label.Field.Type; f.Numeric() || f == frame.Boolean {
			if d := label.Float(seen[a]) - label.Float(seen[b]); d != 0 {
				return int(math.Copysign(1, d))
			}
		}
		if a < b {
			return -1
		}
		return 1
	})
	return classes
}
