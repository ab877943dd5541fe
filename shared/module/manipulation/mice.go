package manipulation

import (
	"context"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/module"
)

// ridge is the penalty of the regressions, on scaled dimensions: enough for
// columns that say the same, too little to matter otherwise.
const ridge = 1e-3

// chain is multiple imputation by chained equations (van Buuren and
// Groothuis-Oudshoorn 2011) without its noise, as scikit-learn's
// IterativeImputer: round by round, each dimension is regressed on all others
// of the rows where it is there, and predicted where it is not.
type chain struct {
	Rounds [][]regression `json:"rounds"`
}

// regression predicts one dimension from the others.
type regression struct {
	Target    int       `json:"target"`
	Intercept float64   `json:"intercept"`
	Weights   []float64 `json:"weights"` // by dimension, 0 for the target's own column
}

func (g *regression) predict(row []float64) float64 {
	sum := g.Intercept
	for d, w := range g.Weights {
		sum += float64(w * row[d])
	}
	return sum
}

// fill makes chain a filler: it needs no memory.
func (c *chain) fill(row []float64, missing []bool) {
	for _, round := range c.Rounds {
		for i := range round {
			if t := round[i].Target; missing[t] {
				row[t] = round[i].predict(row)
			}
		}
	}
}

// learnChain learns from scaled rows, whose missing cells are 0, and fills them
// in. group says which dimensions are of one column.
func learnChain(ctx context.Context, rows []float64, missing []bool, group []int, rounds int) (*chain, error) {
	l := newChainLearner(rows, missing, group)
	order := allOf(l.p)
	slices.SortStableFunc(order, func(a, b int) int { return len(l.gaps[a]) - len(l.gaps[b]) })
	c := &chain{}
	for range rounds {
		var round []regression
		for _, t := range order {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			g, err := l.regress(t)
			if err != nil {
				return nil, err
			}
			for _, r := range l.gaps[t] {
				l.set(r, t, g.predict(l.row(r)))
			}
			round = append(round, *g)
		}
		c.Rounds = append(c.Rounds, round)
	}
	return c, nil
}

// chainLearner keeps the sums of all rows as they are filled in, so that a
// regression over most rows is the sums less a few rows.
type chainLearner struct {
	p     int // dimensions
	data  []float64
	gaps  [][]int // by dimension, the rows that lack it
	group []int
	moments
}

// moments are sums over rows.
type moments struct {
	n        int
	sums     []float64
	products []float64 // of pairs of dimensions: the lower triangle
}

func newMoments(p int) moments {
	return moments{sums: make([]float64, p), products: make([]float64, p*p)}
}

// add adds a row; with sign -1 it takes it away.
func (m *moments) add(row []float64, sign float64) {
	m.n += int(sign)
	for i, x := range row {
		x *= sign
		m.sums[i] += x
		products := m.products[i*len(row) : i*len(row)+i+1]
		for j := range products {
			products[j] += float64(x * row[j])
		}
	}
}

func newChainLearner(rows []float64, missing []bool, group []int) *chainLearner {
	l := &chainLearner{p: len(group), data: rows, group: group, gaps: make([][]int, len(group)), moments: newMoments(len(group))}
	for i, m := range missing {
		if m {
			l.gaps[i%l.p] = append(l.gaps[i%l.p], i/l.p)
		}
	}
	for r := range len(rows) / l.p {
		l.add(l.row(r), 1)
	}
	return l
}

func (l *chainLearner) row(r int) []float64 { return l.data[r*l.p : (r+1)*l.p] }

// set changes dimension t of row r, and the sums.
func (l *chainLearner) set(r, t int, x float64) {
	row := l.row(r)
	change := x - row[t]
	l.sums[t] += change
	for j, y := range row {
		switch {
		case j < t:
			l.products[t*l.p+j] += float64(change * y)
		case j > t:
			l.products[j*l.p+t] += float64(change * y)
		}
	}
	l.products[t*l.p+t] += float64(change * (x + row[t]))
	row[t] = x
}

// having returns the sums over the rows that have dimension t.
func (l *chainLearner) having(t int) moments {
	if rows := len(l.data) / l.p; 2*len(l.gaps[t]) > rows {
		m, gaps := newMoments(l.p), l.gaps[t]
		for r := range rows {
			if len(gaps) > 0 && gaps[0] == r {
				gaps = gaps[1:]
				continue
			}
			m.add(l.row(r), 1)
		}
		return m
	}
	m := moments{l.n, slices.Clone(l.sums), slices.Clone(l.products)}
	for _, r := range l.gaps[t] {
		m.add(l.row(r), -1)
	}
	return m
}

// regress solves the ridge regression of dimension t on those of other columns,
// over the rows where it is there.
func (l *chainLearner) regress(t int) (*regression, error) {
	m := l.having(t)
	n := float64(m.n)
	var use []int // predictors
	for d := range l.p {
		if l.group[d] != l.group[t] {
			use = append(use, d)
		}
	}
	product := func(a, b int) float64 { // about the means
		return m.products[max(a, b)*l.p+min(a, b)] - float64(m.sums[a]*m.sums[b]/n)
	}
	q := len(use)
	gram, weights := make([]float64, q*q), make([]float64, q)
	for i, a := range use {
		for j, b := range use[:i+1] {
			gram[i*q+j] = product(a, b)
		}
		gram[i*q+i] += ridge
		weights[i] = product(a, t)
	}
	if !cholesky(gram, q) {
		return nil, module.Errorf(39, "a regression of the imputation cannot be solved")
	}
	solve(gram, q, weights)
	g := &regression{Target: t, Intercept: m.sums[t] / n, Weights: make([]float64, l.p)}
	for i, d := range use {
		g.Weights[d] = weights[i]
		g.Intercept -= float64(weights[i] * m.sums[d] / n)
	}
	return g, nil
}

// cholesky turns the lower triangle of a symmetric matrix of n rows into its
// Cholesky factor. It reports false where the matrix is not positive definite.
func cholesky(a []float64, n int) bool {
	for i := range n {
		for j := range i + 1 {
			sum := a[i*n+j]
			for k := range j {
				sum -= float64(a[i*n+k] * a[j*n+k])
			}
			if i > j {
				a[i*n+j] = sum / a[j*n+j]
			} else if sum > 0 {
				a[i*n+i] = math.Sqrt(sum)
			} else {
				return false
			}
		}
	}
	return true
}

// solve solves the equations of a Cholesky factor in place of b.
func solve(l []float64, n int, b []float64) {
	for i := range n {
		sum := b[i]
		for k := range i {
			sum -= float64(l[i*n+k] * b[k])
		}
		b[i] = sum / l[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		sum := b[i]
		for k := i + 1; k < n; k++ {
			sum -= float64(l[k*n+i] * b[k])
		}
		b[i] = sum / l[i*n+i]
	}
}
