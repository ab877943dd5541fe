package text

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model/stablemath"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// LatentDirichletAllocation finds topics in texts.
func LatentDirichletAllocation() *module.Module {
	prior := &module.Range{Min: 1e-6, Max: 1000}
	return &module.Module{
		Spec: module.Spec{
			Name: "Latent Dirichlet Allocation", Group: group, CodeVersion: 1, Nature: module.Fitted,
			Inputs: []module.Port{datasetIn},
			Outputs: []module.Port{
				{ID: "Transformed dataset", Kind: service.Dataset, Doc: "The table with a column for each topic: how much of the text is about it."},
				{ID: "Feature topic matrix", Kind: service.Dataset, Doc: "The n-grams with their weight in each topic."},
				{ID: "LDA transformation", Kind: service.Transformation, Doc: "The topics, for Apply Transformation."},
			},
			Params: []module.Param{
				{Name: "Target columns", Type: module.ColumnPicker, Required: true, Schema: true, Doc: "The columns of text; those of a row are one text."},
				{Name: "Number of topics to model", Type: module.Int, Default: "5", Range: &module.Range{Min: 1, Max: 1000}, Schema: true, Doc: "How many topics to find."},
				{Name: "N-grams", Type: module.Int, Default: "2", Range: &module.Range{Min: 1, Max: 10}, Doc: "The longest n-gram that counts; shorter ones do, too."},
				{Name: "Normalize", Type: module.Boolean, Default: "true", Doc: "Give parts that add up to 1, of a text's topics and of a topic's n-grams; otherwise the parameters of their distributions."},
				{Name: "Rho parameter", Type: module.Float, Default: "0.01", Range: prior, Doc: "The prior of n-grams in topics: small where a topic has few n-grams."},
				{Name: "Alpha parameter", Type: module.Float, Default: "0.01", Range: prior, Doc: "The prior of topics in texts: small where a text has few topics."},
				{Name: "Number of training iterations", Type: module.Int, Default: "25", Range: &module.Range{Min: 1, Max: 1000}, Doc: "How often all texts are gone through."},
				{Name: "Minimum n-gram document absolute frequency", Type: module.Int, Default: "2", Range: &module.Range{Min: 1, Max: math.MaxInt32}, Doc: "An n-gram counts only if at least so many texts have it."},
				{Name: "Random seed", Type: module.Int, Default: "0", Range: &module.Range{Min: 0, Max: math.MaxInt32}, Doc: "The seed of the topics to begin with."},
			},
			Doc: "Finds topics, groups of n-grams that come together, by variational Bayes over all texts (Blei, Ng and Jordan, 2003). The same seed gives the same topics. Words compare exactly: preprocess the text first.",
		},
		Fit: fitLDA, Apply: applyLDA, Learned: topicMatrix,
	}
}

// topics is the learned state.
type topics struct {
	Columns   []string    `json:"columns"`
	Size      int         `json:"size"`
	Normalize bool        `json:"normalize,omitempty"`
	Alpha     float64     `json:"alpha"`
	Grams     []string    `json:"grams"`  // sorted by bytes
	Lambda    [][]float64 `json:"lambda"` // by topic and n-gram: Dirichlet parameters
}

// lda has what its steps over texts share: exp(E[log β]) by n-gram and topic.
type lda struct {
	k     int
	alpha float64
	beta  [][]float64
}

// maxTopicNGrams bounds the n-grams of topics: the likeliest are kept.
const maxTopicNGrams = 50_000

func fitLDA(ctx context.Context, c *module.Call) ([]byte, error) {
	p, table := c.Params, c.Inputs[0].Frame
	picked, err := texts(p, "Target columns", table.Schema())
	if err != nil {
		return nil, err
	}
	st := &topics{Size: int(p.Int("N-grams")), Normalize: p.Bool("Normalize"), Alpha: p.Float("Alpha parameter")}
	for _, i := range picked {
		st.Columns = append(st.Columns, table.Cols[i].Field.Name)
	}
	docs := st.documents(table, picked, p.Int("Minimum n-gram document absolute frequency"))
	if len(st.Grams) == 0 {
		return nil, module.Errorf(21, "the texts have no n-gram that enough of them share: topics need some")
	}
	k, rho := int(p.Int("Number of topics to model")), p.Float("Rho parameter")
	rng := rand.New(rand.NewPCG(uint64(p.Int("Random seed")), 0))
	st.Lambda = make([][]float64, k)
	for t := range st.Lambda {
		st.Lambda[t] = make([]float64, len(st.Grams))
		for v := range st.Lambda[t] {
			st.Lambda[t][v] = 0.5 + rng.Float64()
		}
	}
	for range p.Int("Number of training iterations") {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m := newLDA(st)
		next := make([][]float64, len(st.Grams))
		for v := range next {
			next[v] = make([]float64, k)
		}
		e := m.newDoc()
		for i := range docs {
			e.infer(&docs[i])
			for n, v := range docs[i].grams {
				for t := range k {
					next[v][t] += docs[i].counts[n] * e.theta[t] / e.phi[n]
				}
			}
		}
		for t := range k {
			for v := range next {
				st.Lambda[t][v] = rho + float64(next[v][t]*m.beta[v][t])
			}
		}
	}
	c.Log("%d topics of %d n-grams in %d texts", k, len(st.Grams), len(docs))
	return json.Marshal(st)
}

// document is a text as numbers of n-grams with their counts.
type document struct {
	grams  []int32
	counts []float64
}

func (st *topics) grams() grams { return grams{size: st.Size, longest: math.MaxInt, join: '_'} }

// documents learns the vocabulary and returns the texts by it.
func (st *topics) documents(table *frame.Frame, picked []int, least int64) []document {
	df, last := map[string]int64{}, map[string]int{}
	g := st.grams()
	var text []byte
	for r := range table.Rows() {
		for _, i := range picked {
			text = table.Cols[i].Print(text[:0], r)
			g.of(text, func(gram []byte) {
				if last[string(gram)] != r+1 {
					last[string(gram)] = r + 1
					df[string(gram)]++
				}
			})
		}
	}
	for gram, n := range df {
		if n >= least {
			st.Grams = append(st.Grams, gram)
		}
	}
	slices.SortFunc(st.Grams, func(a, b string) int {
		if d := df[b] - df[a]; d != 0 {
			return int(max(-1, min(1, d)))
		}
		if a < b {
			return -1
		}
		return 1
	})
	st.Grams = st.Grams[:min(len(st.Grams), maxTopicNGrams)]
	slices.Sort(st.Grams)
	index := st.index()
	docs := make([]document, table.Rows())
	row := make([][]byte, len(picked))
	for r := range docs {
		for k, i := range picked {
			row[k] = table.Cols[i].Print(nil, r)
		}
		docs[r].read(&g, index, row)
	}
	return docs
}

func (st *topics) index() map[string]int32 {
	index := make(map[string]int32, len(st.Grams))
	for i, gram := range st.Grams {
		index[gram] = int32(i)
	}
	return index
}

// read makes d the document of a row's texts; it keeps its memory.
func (d *document) read(g *grams, index map[string]int32, row [][]byte) {
	d.grams, d.counts = d.grams[:0], d.counts[:0]
	for _, text := range row {
		g.of(text, func(gram []byte) {
			if i, ok := index[string(gram)]; ok {
				d.grams = append(d.grams, i)
			}
		})
	}
	slices.Sort(d.grams)
	n := 0
	for i, v := range d.grams {
		if i > 0 && v == d.grams[i-1] {
			d.counts[n-1]++
			continue
		}
		d.counts = append(d.counts, 1)
		n++
	}
	d.grams = slices.Compact(d.grams)
}

func newLDA(st *topics) *lda {
	m := &lda{k: len(st.Lambda), alpha: st.Alpha, beta: make([][]float64, len(st.Grams))}
	for v := range m.beta {
		m.beta[v] = make([]float64, m.k)
	}
	for t, row := range st.Lambda {
		sum := 0.0
		for _, x := range row {
			sum += x
		}
		total := digamma(sum)
		for v, x := range row {
			m.beta[v][t] = stablemath.Exp(digamma(x) - total)
		}
	}
	return m
}

// docState is the variational distribution of a document.
type docState struct {
	m     *lda
	gamma []float64 // Dirichlet parameters of its topics
	theta []float64 // exp(E[log θ])
	phi   []float64 // by n-gram: normalizer of its topics
	next  []float64
}

func (m *lda) newDoc() *docState {
	return &docState{m: m, gamma: make([]float64, m.k), theta: make([]float64, m.k), next: make([]float64, m.k)}
}

const (
	docRounds = 100
	docClose  = 1e-3 // mean change of gamma at which a document is done
)

// infer finds the topics of a document for given topics of n-grams.
func (e *docState) infer(d *document) {
	k := e.m.k
	for t := range k {
		e.gamma[t] = 1
	}
	e.phi = zeros(e.phi, len(d.grams))
	e.expect(d)
	for range docRounds {
		change := 0.0
		for t := range k {
			sum := 0.0
			for n, v := range d.grams {
				sum += d.counts[n] * e.m.beta[v][t] / e.phi[n]
			}
			e.next[t] = e.m.alpha + float64(e.theta[t]*sum)
			change += math.Abs(e.next[t] - e.gamma[t])
		}
		e.gamma, e.next = e.next, e.gamma
		e.expect(d)
		if change < docClose*float64(k) {
			break
		}
	}
}

// expect works out theta and phi of gamma.
func (e *docState) expect(d *document) {
	sum := 0.0
	for _, g := range e.gamma {
		sum += g
	}
	total := digamma(sum)
	for t, g := range e.gamma {
		e.theta[t] = stablemath.Exp(digamma(g) - total)
	}
	for n, v := range d.grams {
		p := 1e-100
		for t, b := range e.m.beta[v] {
			p += float64(e.theta[t] * b)
		}
		e.phi[n] = p
	}
}

// digamma by recurrence and asymptotic series (Abramowitz and Stegun, 6.3.5 and
// 6.3.18).
func digamma(x float64) float64 {
	sum := 0.0
	for ; x < 10; x++ {
		sum -= 1 / x
	}
	y := 1 / (x * x)
	series := y * (1.0/12 - y*(1.0/120-float64(y*(1.0/252-float64(y*(1.0/240-float64(y*(1.0/132))))))))
	return sum + stablemath.Log(x) - 0.5/x - series
}

func decodeTopics(state []byte) (*topics, error) {
	st := &topics{}
	err := json.Unmarshal(state, st)
	ok := err == nil && len(st.Lambda) > 0 && len(st.Columns) > 0 && st.Size > 0 && st.Alpha > 0
	for _, row := range st.Lambda {
		ok = ok && len(row) == len(st.Grams)
	}
	if !ok {
		return nil, module.Errorf(82, "the LDA transformation cannot be read")
	}
	return st, nil
}

func applyLDA(state []byte, in frame.Schema) (*module.Bound, error) {
	st, err := decodeTopics(state)
	if err != nil {
		return nil, err
	}
	var from []int
	for _, name := range st.Columns {
		at := in.Index(name)
		switch {
		case at < 0:
			return nil, module.NoColumn(in, name)
		case in[at].Type != frame.String:
			return nil, module.Errorf(17, "column %q is %s, not text", name, in[at].Type).At(name)
		}
		from = append(from, at)
	}
	m, index := newLDA(st), st.index()
	return vectors(in, from, topicNames(len(st.Lambda)), func() vectorizer {
		return &topicFinder{st: st, index: index, grams: st.grams(), doc: m.newDoc()}
	})
}

func topicNames(k int) []string {
	names := make([]string, k)
	for t := range names {
		names[t] = "Topic " + strconv.Itoa(t+1)
	}
	return names
}

type topicFinder struct {
	st    *topics
	index map[string]int32
	grams grams
	d     document
	doc   *docState
}

func (f *topicFinder) vector(texts [][]byte, out []float64) bool {
	f.d.read(&f.grams, f.index, texts)
	f.doc.infer(&f.d)
	copy(out, f.doc.gamma)
	if f.st.Normalize {
		scale(out)
	}
	return true
}

// scale makes the parts add up to 1.
func scale(parts []float64) {
	sum := 0.0
	for _, v := range parts {
		sum += v
	}
	for i := range parts {
		parts[i] /= sum
	}
}

// topicMatrix is the topics as a table.
func topicMatrix(state []byte) (*frame.Frame, error) {
	st, err := decodeTopics(state)
	if err != nil {
		return nil, err
	}
	schema := frame.Schema{{Name: "Feature"}}
	for _, name := range topicNames(len(st.Lambda)) {
		schema = append(schema, frame.Field{Name: name, Type: frame.Double})
	}
	l, err := frame.NewLayout(schema)
	if err != nil {
		return nil, err
	}
	f := l.New(len(st.Grams))
	for _, gram := range st.Grams {
		f.Cols[0].AppendString([]byte(gram))
	}
	for t, row := range st.Lambda {
		row = slices.Clone(row)
		if st.Normalize {
			scale(row)
		}
		for _, v := range row {
			f.Cols[1+t].AppendFloat(v)
		}
	}
	return f, nil
}
