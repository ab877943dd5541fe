package text

import (
	"context"
	"encoding/json"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model/stablemath"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// Where the vocabulary comes from.
const (
	create   = "Create"
	readOnly = "ReadOnly"
	update   = "Update"
	merge    = "Merge"
)

// What an n-gram of a text weighs.
const (
	binary = "Binary Weight"
	tf     = "TF Weight"
	idf    = "IDF Weight"
	tfIDF  = "TF-IDF Weight"
	graph  = "Graph Weight"
)

// maxVocabulary bounds the n-grams of a vocabulary, each of which is a column.
const maxVocabulary = 20_000

// ExtractNGramFeatures makes a column of every n-gram of a vocabulary.
func ExtractNGramFeatures() *module.Module {
	count := &module.Range{Min: 1, Max: math.MaxInt32}
	creates := &module.When{Param: "Vocabulary mode", Is: []string{create, merge}}
	return &module.Module{
		Spec: module.Spec{
			Name: "Extract N-Gram Features from Text", Group: group, CodeVersion: 1, Nature: module.Fitted,
			Inputs: []module.Port{
				datasetIn,
				{ID: "Input vocabulary", Kind: service.Dataset, Optional: true, Doc: "A vocabulary that this module gave, for all modes but Create."},
			},
			Outputs: []module.Port{
				{ID: "Results dataset", Kind: service.Dataset, Doc: "The table with the features."},
				{ID: "Result vocabulary", Kind: service.Dataset, Doc: "The n-grams with the number of texts that have them (DF) and its inverse frequency (IDF), the natural logarithm of all texts over those."},
				{ID: "N-gram transformation", Kind: service.Transformation, Doc: "The vocabulary with its weights, for Apply Transformation."},
			},
			Params: []module.Param{
				{Name: "Text column", Type: module.ColumnPicker, Required: true, Single: true, Schema: true, Doc: "The column of text."},
				{
					Name: "Vocabulary mode", Type: module.Enumerated, Default: create, Options: []string{create, readOnly, update, merge}, Schema: true,
					Doc: "Create: learn the vocabulary. ReadOnly: take the one given, with its weights. Update: take the n-grams of the one given, and learn their frequencies anew. Merge: join the one given with one that is learned, and add the frequencies.",
				},
				{Name: "N-grams size", Type: module.Int, Default: "1", Range: &module.Range{Min: 1, Max: 10}, Schema: true, Doc: "The longest n-gram; shorter ones are taken, too."},
				{
					Name: "Weighting function", Type: module.Enumerated, Default: binary, Options: []string{binary, tf, idf, tfIDF, graph},
					Doc: "What an n-gram of a text weighs: 1, how often it comes, its inverse document frequency, the product of both, or its TextRank among the n-grams of the text.",
				},
				{Name: "Minimum word length", Type: module.Int, Default: "3", Range: count, Schema: true, Doc: "Shorter words are passed over."},
				{Name: "Maximum word length", Type: module.Int, Default: "25", Range: count, Schema: true, Doc: "Longer words are passed over."},
				{Name: "Minimum n-gram document absolute frequency", Type: module.Int, Default: "5", Range: count, When: creates, Schema: true, Doc: "An n-gram is learned only if at least so many texts have it."},
				{Name: "Maximum n-gram document ratio", Type: module.Float, Default: "1", Range: &module.Range{Min: 0.0001, Max: 1}, When: creates, Schema: true, Doc: "An n-gram is learned only if at most this part of the texts has it."},
				{Name: "Normalize n-gram feature vectors", Type: module.Boolean, Default: "false", Doc: "Divide the weights of a text by the root of the sum of their squares."},
			},
			Doc: "Turns text into a feature for every n-gram of a vocabulary, called column.[n_gram]. Words are runs of letters and digits, and compare exactly: preprocess the text first. A missing text has no n-gram.",
		},
		Fit: fitNGrams, Apply: applyNGrams, Learned: vocabularyTable,
	}
}

// ngrams is the learned state.
type ngrams struct {
	Column    string    `json:"column"`
	Size      int       `json:"size"`
	Shortest  int       `json:"shortest"`
	Longest   int       `json:"longest"`
	Weight    string    `json:"weight"`
	Normalize bool      `json:"normalize,omitempty"`
	Grams     []string  `json:"grams"` // sorted by bytes
	DF        []int64   `json:"df"`
	IDF       []float64 `json:"idf"`
}

func fitNGrams(_ context.Context, c *module.Call) ([]byte, error) {
	p, table := c.Params, c.Inputs[0].Frame
	at, err := oneText(p, "Text column", table.Schema())
	if err != nil {
		return nil, err
	}
	st := &ngrams{
		Column: table.Cols[at].Field.Name, Size: int(p.Int("N-grams size")), Shortest: int(p.Int("Minimum word length")), Longest: int(p.Int("Maximum word length")),
		Weight: p.Text("Weighting function"), Normalize: p.Bool("Normalize n-gram feature vectors"),
	}
	if st.Shortest > st.Longest {
		return nil, module.Errorf(8, "the minimum word length %d is above the maximum %d", st.Shortest, st.Longest)
	}
	mode := p.Text("Vocabulary mode")
	var given *vocabulary
	if mode != create {
		if given, err = readVocabulary(c.Inputs[1].Frame, mode); err != nil {
			return nil, err
		}
	}
	if mode == readOnly {
		st.take(given)
		return json.Marshal(st)
	}
	docs := int64(table.Rows())
	df := st.frequencies(table.Cols[at])
	switch mode {
	case create, merge:
		least, most := p.Int("Minimum n-gram document absolute frequency"), p.Float("Maximum n-gram document ratio")*float64(docs)
		for gram, n := range df {
			if n < least || float64(n) > most {
				delete(df, gram)
			}
		}
	case update:
		for gram := range df {
			if _, ok := given.df[gram]; !ok {
				delete(df, gram)
			}
		}
	}
	if mode == merge {
		for gram, n := range given.df {
			df[gram] += n
		}
		docs += given.docs
	}
	v := &vocabulary{df: df, idf: make(map[string]float64, len(df))}
	for gram, n := range df {
		v.idf[gram] = stablemath.Log(float64(docs) / float64(n))
	}
	if len(df) > maxVocabulary {
		return nil, module.Errorf(138, "the vocabulary has %d n-grams: at most %d are supported; raise the minimum frequency", len(df), maxVocabulary)
	}
	st.take(v)
	c.Log("the vocabulary has %d n-grams of %d texts", len(df), docs)
	return json.Marshal(st)
}

// take makes a vocabulary that of the state.
func (st *ngrams) take(v *vocabulary) {
	st.Grams = []string{}
	for gram := range v.df {
		st.Grams = append(st.Grams, gram)
	}
	slices.Sort(st.Grams)
	st.DF, st.IDF = []int64{}, []float64{}
	for _, gram := range st.Grams {
		st.DF, st.IDF = append(st.DF, v.df[gram]), append(st.IDF, v.idf[gram])
	}
}

// frequencies counts, for each n-gram, the texts that have it.
func (st *ngrams) frequencies(c *frame.Column) map[string]int64 {
	df := make(map[string]int64)
	last := make(map[string]int) // row that had it last, from 1
	g := st.grams()
	var text []byte
	for r := range c.Len() {
		text = c.Print(text[:0], r)
		g.of(text, func(gram []byte) {
			if last[string(gram)] != r+1 {
				last[string(gram)] = r + 1
				df[string(gram)]++
			}
		})
	}
	return df
}

func (st *ngrams) grams() grams {
	return grams{size: st.Size, shortest: st.Shortest, longest: st.Longest, join: '_'}
}

// vocabulary is a vocabulary given as a table.
type vocabulary struct {
	df   map[string]int64
	idf  map[string]float64
	docs int64 // texts that it was learned from
}

func readVocabulary(f *frame.Frame, mode string) (*vocabulary, error) {
	if f == nil {
		return nil, module.Errorf(3, "vocabulary mode %s needs an input vocabulary", mode).At("Input vocabulary")
	}
	var cols [3]*frame.Column
	for i, name := range []string{"NGram", "DF", "IDF"} {
		cols[i] = f.Col(name)
		switch {
		case cols[i] == nil:
			return nil, module.NoColumn(f.Schema(), name)
		case (i == 0) != (cols[i].Field.Type == frame.String) || i > 0 && !cols[i].Field.Type.Numeric():
			return nil, module.Errorf(17, "column %q of the vocabulary is %s", name, cols[i].Field.Type).At(name)
		}
	}
	v := &vocabulary{df: map[string]int64{}, idf: map[string]float64{}}
	for r := range f.Rows() {
		gram, n, weight := string(cols[0].Print(nil, r)), cols[1].Float(r), cols[2].Float(r)
		if _, twice := v.df[gram]; gram == "" || twice || !(n >= 1) || n != math.Trunc(n) || n > math.MaxInt32 || !(weight >= 0) || weight > 100 {
			return nil, module.Errorf(18, "row %d of the vocabulary: n-gram %q comes twice or is empty, or its DF or IDF is none", r+1, frame.Clip([]byte(gram)))
		}
		v.df[gram], v.idf[gram] = int64(n), weight
		// IDF is the logarithm of all texts over DF: that tells how many there were.
		v.docs = max(v.docs, int64(math.Round(float64(n*stablemath.Exp(weight)))))
	}
	if len(v.df) > maxVocabulary {
		return nil, module.Errorf(138, "the vocabulary has %d n-grams: at most %d are supported", len(v.df), maxVocabulary)
	}
	return v, nil
}

func decodeNGrams(state []byte) (*ngrams, error) {
	st := &ngrams{}
	if err := json.Unmarshal(state, st); err != nil || len(st.Grams) != len(st.DF) || len(st.Grams) != len(st.IDF) || st.Size < 1 {
		return nil, module.Errorf(82, "the n-gram transformation cannot be read")
	}
	return st, nil
}

// vocabularyTable is the vocabulary as a table.
func vocabularyTable(state []byte) (*frame.Frame, error) {
	st, err := decodeNGrams(state)
	if err != nil {
		return nil, err
	}
	l, err := frame.NewLayout(frame.Schema{{Name: "Id", Type: frame.Int32}, {Name: "NGram"}, {Name: "DF", Type: frame.Int64}, {Name: "IDF", Type: frame.Double}})
	if err != nil {
		return nil, err
	}
	f := l.New(len(st.Grams))
	for i, gram := range st.Grams {
		f.Cols[0].AppendInt(int64(i))
		f.Cols[1].AppendString([]byte(gram))
		f.Cols[2].AppendInt(st.DF[i])
		f.Cols[3].AppendFloat(st.IDF[i])
	}
	return f, nil
}

func applyNGrams(state []byte, in frame.Schema) (*module.Bound, error) {
	st, err := decodeNGrams(state)
	if err != nil {
		return nil, err
	}
	at := in.Index(st.Column)
	switch {
	case at < 0:
		return nil, module.NoColumn(in, st.Column)
	case in[at].Type != frame.String:
		return nil, module.Errorf(17, "column %q is %s, not text", st.Column, in[at].Type).At(st.Column)
	}
	index, names := make(map[string]int32, len(st.Grams)), make([]string, len(st.Grams))
	for i, gram := range st.Grams {
		index[gram], names[i] = int32(i), st.Column+".["+gram+"]"
	}
	return vectors(in, []int{at}, names, func() vectorizer {
		return &weigher{st: st, index: index, grams: st.grams()}
	})
}

// weigher weighs the n-grams of a text.
type weigher struct {
	st    *ngrams
	index map[string]int32
	grams
	seen []int32 // n-grams of the text, in order, repeated
	rank ranker
}

func (w *weigher) vector(texts [][]byte, out []float64) bool {
	w.seen = w.seen[:0]
	w.of(texts[0], func(gram []byte) {
		if i, ok := w.index[string(gram)]; ok {
			w.seen = append(w.seen, i)
		}
	})
	if w.st.Weight == graph {
		w.rank.score(w.seen, out)
	} else {
		for _, i := range w.seen {
			switch w.st.Weight {
			case binary:
				out[i] = 1
			case tf:
				out[i]++
			case idf:
				out[i] = w.st.IDF[i]
			default:
				out[i] += w.st.IDF[i]
			}
		}
	}
	if !w.st.Normalize {
		return true
	}
	squares := 0.0
	for _, v := range out {
		squares += float64(v * v)
	}
	if squares > 0 {
		norm := math.Sqrt(squares)
		for _, i := range w.seen { // repeated ones are marked as done by their order
			if v := out[i]; v > 0 {
				out[i] = -v / norm
			}
		}
		for _, i := range w.seen {
			out[i] = math.Abs(out[i])
		}
	}
	return true
}

// ranker computes TextRank (Mihalcea and Tarau, 2004): PageRank over the graph
// of n-grams that follow each other in the text, both ways.
type ranker struct {
	nodes  []int32 // distinct n-grams, sorted
	place  []int32 // of seen, in nodes
	degree []float64
	rank   []float64
	next   []float64
}

const (
	damping = 0.85
	rounds  = 30
)

func (k *ranker) score(seen []int32, out []float64) {
	if len(seen) == 0 {
		return
	}
	k.nodes = append(k.nodes[:0], seen...)
	slices.Sort(k.nodes)
	k.nodes = slices.Compact(k.nodes)
	n := len(k.nodes)
	k.place = k.place[:0]
	for _, i := range seen {
		at, _ := slices.BinarySearch(k.nodes, i)
		k.place = append(k.place, int32(at))
	}
	k.degree, k.rank, k.next = zeros(k.degree, n), zeros(k.rank, n), zeros(k.next, n)
	for i := range k.rank {
		k.rank[i] = 1
	}
	for i := 1; i < len(k.place); i++ {
		if a, b := k.place[i-1], k.place[i]; a != b {
			k.degree[a]++
			k.degree[b]++
		}
	}
	for range rounds {
		for i := range k.next {
			k.next[i] = 1 - damping
		}
		for i := 1; i < len(k.place); i++ {
			if a, b := k.place[i-1], k.place[i]; a != b {
				k.next[a] += damping * k.rank[b] / k.degree[b]
				k.next[b] += damping * k.rank[a] / k.degree[a]
			}
		}
		k.rank, k.next = k.next, k.rank
	}
	for i, node := range k.nodes {
		out[node] = k.rank[i]
	}
}

func zeros(s []float64, n int) []float64 {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}
