// Package text holds the palette group Text Analytics.
//
// Modules that learn a vocabulary or topics keep it as a transformation; what is
// computed of a row depends on its text and on that alone.
package text

import (
	"unicode"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Text Analytics"

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{ExtractNGramFeatures(), FeatureHashing(), LatentDirichletAllocation(), PreprocessText()}
}

var datasetIn = module.Port{ID: "Dataset", Kind: service.Dataset, Doc: "The table with the texts."}

// texts resolves a parameter to columns of text.
func texts(p module.Values, param string, in frame.Schema) ([]int, error) {
	picked, err := p.Columns(param).Resolve(in)
	if err != nil {
		return nil, err
	}
	if len(picked) == 0 {
		return nil, module.Errorf(20, "parameter %q selects no column", param).At(param)
	}
	for _, i := range picked {
		if in[i].Type != frame.String {
			return nil, module.Errorf(17, "column %q is %s, not text", in[i].Name, in[i].Type).At(in[i].Name)
		}
	}
	return picked, nil
}

// oneText resolves a parameter to one column of text.
func oneText(p module.Values, param string, in frame.Schema) (int, error) {
	picked, err := texts(p, param, in)
	if err == nil && len(picked) != 1 {
		err = module.Errorf(22, "parameter %q selects %d columns, one is needed", param, len(picked)).At(param)
	}
	if err != nil {
		return 0, err
	}
	return picked[0], nil
}

// nextWord cuts the first word off text: letters, marks, digits and underscores.
// It returns nil after the last.
func nextWord(text []byte) (word, rest []byte) {
	start := -1
	for i := 0; i < len(text); {
		r, n := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(text[i:])
		}
		if inWord(r) {
			if start < 0 {
				start = i
			}
		} else if start >= 0 {
			return text[start:i], text[i:]
		}
		i += n
	}
	if start >= 0 {
		return text[start:], nil
	}
	return nil, nil
}

func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
	}
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)
}

// grams calls each for the n-grams of a text, of one word up to size, words
// joined by a byte; short and long words are passed over. It keeps its memory.
type grams struct {
	size              int
	shortest, longest int // in characters
	join              byte

	words [][]byte
	gram  []byte
}

func (g *grams) of(text []byte, each func(gram []byte)) {
	g.words = g.words[:0]
	for word, rest := nextWord(text); word != nil; word, rest = nextWord(rest) {
		if n := utf8.RuneCount(word); n >= g.shortest && n <= g.longest {
			g.words = append(g.words, word)
		}
	}
	for i := range g.words {
		g.gram = g.gram[:0]
		for k := i; k < min(i+g.size, len(g.words)); k++ {
			if k > i {
				g.gram = append(g.gram, g.join)
			}
			g.gram = append(g.gram, g.words[k]...)
			each(g.gram)
		}
	}
}

// vectorizer computes the new columns of a row from its texts. It is made for
// one session and may keep memory from row to row.
type vectorizer interface {
	// vector sets out, which is zero, and reports whether the row has a vector;
	// otherwise its cells are missing.
	vector(texts [][]byte, out []float64) bool
}

// vectors binds a module that appends Double columns computed from texts all at
// once.
func vectors(in frame.Schema, from []int, names []string, session func() vectorizer) (*module.Bound, error) {
	schema := append(frame.Schema(nil), in...)
	taken := make(map[string]bool, len(in)+len(names))
	for i := range in {
		taken[in[i].Name] = true
	}
	source := make([]module.Source, 0, len(in)+len(names))
	needs := make([][]int, len(in), len(in)+len(names))
	for i := range in {
		source = append(source, module.Source{Port: 0, Col: i})
	}
	for _, name := range names {
		name = module.Unique(name, func(n string) bool { return taken[n] })
		taken[name] = true
		schema = append(schema, frame.Field{Name: name, Type: frame.Double, Nullable: true})
		source, needs = append(source, module.Computed), append(needs, from)
	}
	layout, err := frame.NewLayout(schema)
	if err != nil {
		return nil, module.Errorf(17, "%v", err)
	}
	return &module.Bound{
		Op:      &vectorOp{layout, len(in), from, session},
		Outputs: []frame.Schema{schema}, Reads: [][]int{from}, Needs: needs, From: [][]module.Source{source},
	}, nil
}

type vectorOp struct {
	layout  *frame.Layout
	pass    int
	from    []int
	session func() vectorizer
}

func (op *vectorOp) NewState() module.State {
	st := &vectorState{op: op, v: op.session(), texts: make([][]byte, len(op.from)), row: make([]float64, len(op.layout.Schema)-op.pass)}
	for i := op.pass; i < len(op.layout.Schema); i++ {
		st.cols = append(st.cols, op.layout.Column(i, 0))
	}
	return st
}

type vectorState struct {
	op    *vectorOp
	v     vectorizer
	texts [][]byte
	level []byte // scratch for texts of categorical columns
	row   []float64
	cols  []*frame.Column
}

func (st *vectorState) Apply(in, out []*frame.Frame) error {
	src := in[0]
	copy(out[0].Cols, src.Cols)
	for k, c := range st.cols {
		c.Reset()
		c.Grow(src.Rows())
		out[0].Cols[st.op.pass+k] = c
	}
	for r := range src.Rows() {
		st.level = st.level[:0]
		for k, i := range st.op.from {
			start := len(st.level)
			st.level = src.Cols[i].Print(st.level, r)
			st.texts[k] = st.level[start:]
		}
		clear(st.row)
		ok := st.v.vector(st.texts, st.row)
		for k, c := range st.cols {
			if ok {
				c.AppendFloat(st.row[k])
			} else {
				c.AppendNull()
			}
		}
	}
	return nil
}
