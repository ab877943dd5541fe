package manipulation

import (
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
func learnChain(rows []float64, missing []bool, group []int, rounds int) (*chain, error) {
	p := len(group)
	counts := make([]int, p)
	for i, m := range missing {
		if m {
			counts[i%p]++
		}
	}
	order := allOf(p)
	slices.SortStableFunc(order, func(a, b int) int { return counts[a] - counts[b] })
	c := &chain{}
	for range rounds {
		var round []regression
		for _, t := range order {
			g, err := regress(rows, missing, group, t)
			if err != nil {
				return nil, err
			}
			for r := 0; r < len(rows); r += p {
				if missing[r+t] {
					rows[r+t] = g.predict(rows[r : r+p])
				}
			}
			round = append(round, *g)
		}
		c.Rounds = append(c.Rounds, round)
	}
	return c, nil
}

// regress solves the ridge regression of dimension t on those of other columns,
// over the rows where it is there.
func regress(rows []float64, missing []bool, group []int, t int) (*regression, error) {
	p := len(group)
	var use []int // predictors
	for d := range p {
		if group[d] != group[t] {
			use = append(use, d)
		}
	}
	g := &regression{Target: t, Weights: make([]float64, p)}
	q, n := len(use), 0
	means := make([]float64, q)
	for r := 0; r < len(rows); r += p {
		if !missing[r+t] {
			for k, d := range use {
				means[k] += rows[r+d]
			}
			g.Intercept += rows[r+t]
			n++
		}
	}
	for k := range means {
		means[k] /= float64(n)
	}
	g.Intercept /= float64(n)
	gram, right, x := make([]float64, q*q), make([]float64, q), make([]float64, q)
	for r := 0; r < len(rows); r += p {
		if missing[r+t] {
			continue
		}
		for k, d := range use {
			x[k] = rows[r+d] - means[k]
		}
		y := rows[r+t] - g.Intercept
		for k, a := range x {
			right[k] += float64(a * y)
			row := gram[k*q : k*q+k+1]
			for j := range row {
				row[j] += float64(a * x[j])
			}
		}
	}
	for k := range q {
		gram[k*q+k] += ridge
	}
	if !cholesky(gram, q) {
		return nil, module.Errorf(39, "a regression of the imputation cannot be solved")
	}
	solve(gram, q, right)
	for k, d := range use {
		g.Weights[d] = right[k]
		g.Intercept -= float64(right[k] * means[k])
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
