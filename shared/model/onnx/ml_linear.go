package onnx

import (
	"math"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// dot is the product of row r of x, a table of cols columns, and w, summed in
// order: each product is exact in float64 and each sum is rounded to float32,
// as the fused additions of ONNX Runtime's kernels are.
func dot(x *tensor, r, cols int, w []float32) float64 {
	sum := 0.0
	if x.typ == Float {
		for k, v := range x.f32[r*cols : r*cols+cols] {
			sum = float64(float32(sum + float64(v)*float64(w[k])))
		}
		return sum
	}
	for k := range cols {
		sum = float64(float32(sum + float64(float32(x.at(r*cols+k)))*float64(w[k])))
	}
	return sum
}

func buildLinearRegressor(d *decl) (op, error) {
	weights, intercepts, targets := d.floats("coefficients"), d.floats("intercepts"), int(d.int("targets", 1))
	post, err := d.transform()
	if err != nil {
		return nil, err
	}
	if targets < 1 || targets > len(weights) || len(weights)%targets != 0 || len(intercepts) != 0 && len(intercepts) != targets {
		return nil, refuse("%d coefficients and %d intercepts for %d targets", len(weights), len(intercepts), targets)
	}
	return always(func(c *call) error {
		x := c.in[0]
		rows, cols, err := table(x)
		if err != nil {
			return err
		}
		if cols != len(weights)/targets {
			return refuse("%d columns for %d coefficients", cols, len(weights)/targets)
		}
		if err := c.work(rows, cols, targets); err != nil {
			return err
		}
		out, err := c.make(0, Float, rows, targets)
		if err != nil {
			return err
		}
		c.sums = room(c.sums, rows*targets)
		c.dots(x, rows, cols, weights, targets, c.sums)
		for r := range rows {
			s := c.sums[r*targets:][:targets]
			for t, v := range intercepts {
				s[t] += float64(v)
			}
			post.apply(s)
			for t, v := range s {
				out.f32[r*targets+t] = float32(v)
			}
		}
		return nil
	}), nil
}

func buildLinearClassifier(d *decl) (op, error) {
	weights, intercepts := d.floats("coefficients"), d.floats("intercepts")
	d.int("multi_class", 0)
	post, err := d.transform()
	if err != nil {
		return nil, err
	}
	classes, err := d.labels("classlabels_ints", "classlabels_strings")
	if err != nil {
		return nil, err
	}
	n := len(intercepts)
	if n == 0 || len(weights)%n != 0 || n != classes.count() && !(n == 1 && classes.count() == 2) {
		return nil, refuse("%d coefficients and %d intercepts for %d classes", len(weights), n, classes.count())
	}
	return always(func(c *call) error {
		x := c.in[0]
		rows, cols, err := table(x)
		if err != nil {
			return err
		}
		if cols != len(weights)/n {
			return refuse("%d columns for %d coefficients", cols, len(weights)/n)
		}
		if err := c.work(rows, cols, n); err != nil {
			return err
		}
		if err := classes.make(c, rows); err != nil {
			return err
		}
		var scores *tensor
		if len(c.out) > 1 {
			if scores, err = c.make(1, Float, rows, classes.count()); err != nil {
				return err
			}
		}
		c.sums = room(c.sums, rows*n)
		c.dots(x, rows, cols, weights, n, c.sums)
		var two [2]float64
		for r := range rows {
			s := c.sums[r*n:][:n]
			for k, v := range intercepts {
				s[k] += float64(v)
			}
			if classes.count() == 2 && n == 1 {
				k := 0
				if s[0] > 0 {
					k = 1
				}
				classes.set(c, r, k)
			} else {
				classes.set(c, r, best(s))
			}
			if n < classes.count() {
				two[0] = s[0]
				s = second(two[:], post, true)
			} else {
				post.apply(s)
			}
			if scores != nil {
				for k, v := range s {
					scores.f32[r*len(s)+k] = float32(v)
				}
			}
		}
		return nil
	}), nil
}

// second makes two scores of the one of the second class in s[0].
func second(s []float64, post transform, probability bool) []float64 {
	v := s[0]
	switch {
	case post == "PROBIT":
		s[0], s[1] = probit(v), 0
	case post == "LOGISTIC":
		s[0], s[1] = stablemath.Sigmoid(-v), stablemath.Sigmoid(v)
	case probability:
		s[0], s[1] = 1-v, v
	default:
		s[0], s[1] = -v, v
	}
	return s[:2]
}

// svm is what SVMClassifier and SVMRegressor share.
type svm struct {
	kernel       string
	gamma, coef0 float64
	degree       float64
	vectors      []float32 // rows of cols
	count, cols  int
}

func (d *decl) svm(count int) (*svm, error) {
	s := &svm{vectors: d.floats("support_vectors"), count: count}
	var err error
	if s.kernel, err = d.oneOf("kernel_type", "LINEAR", "POLY", "RBF", "SIGMOID"); err != nil {
		return nil, err
	}
	if p := d.floats("kernel_params"); len(p) >= 3 {
		s.gamma, s.coef0, s.degree = float64(p[0]), float64(p[1]), float64(p[2])
	} else if len(p) > 0 {
		return nil, refuse("%d kernel_params", len(p))
	}
	if count > 0 {
		if len(s.vectors)%count != 0 {
			return nil, refuse("%d numbers for %d support vectors", len(s.vectors), count)
		}
		s.cols = len(s.vectors) / count
	}
	return s, nil
}

// similar computes the kernel of row r of x and vector v.
func (s *svm) similar(x *tensor, r int, v []float32) float64 {
	if s.kernel == "RBF" {
		var sum float32
		for k := range s.cols {
			d := float32(x.at(r*s.cols+k)) - v[k]
			sum += float32(d * d)
		}
		return float64(float32(stablemath.Exp(float64(-float32(s.gamma) * sum))))
	}
	p := dot(x, r, s.cols, v)
	switch s.kernel {
	case "POLY":
		return pow(float64(s.gamma*p)+s.coef0, s.degree)
	case "SIGMOID":
		return stablemath.Tanh(float64(s.gamma*p) + s.coef0)
	}
	return p
}

func buildSVMRegressor(d *decl) (op, error) {
	count := int(d.int("n_supports", 0))
	if count < 0 || count > 1<<24 {
		return nil, refuse("%d support vectors", count)
	}
	s, err := d.svm(count)
	if err != nil {
		return nil, err
	}
	weights, rho, oneClass := d.floats("coefficients"), d.floats("rho"), d.int("one_class", 0) != 0
	if post, err := d.transform(); err != nil || post != "NONE" {
		return nil, refuse("post_transform is not NONE")
	}
	if count == 0 { // the coefficients are the one vector
		s.kernel, s.vectors, s.cols, s.count = "LINEAR", weights, len(weights), 1
		weights = []float32{1}
	}
	if len(rho) < 1 || len(weights) != s.count || s.cols == 0 {
		return nil, refuse("%d coefficients and %d intercepts for %d vectors", len(weights), len(rho), s.count)
	}
	return always(func(c *call) error {
		rows, cols, err := table(c.in[0])
		if err != nil {
			return err
		}
		if cols != s.cols {
			return refuse("%d columns, the vectors have %d", cols, s.cols)
		}
		if err := c.work(rows, s.count, cols); err != nil {
			return err
		}
		out, err := c.make(0, Float, rows, 1)
		if err != nil {
			return err
		}
		for r := range rows {
			sum := 0.0
			for v := range s.count {
				sum = float64(float32(sum + float64(s.similar(c.in[0], r, s.vectors[v*cols:])*float64(weights[v]))))
			}
			sum += float64(rho[0])
			if oneClass {
				sum = map[bool]float64{true: 1, false: -1}[sum > 0]
			}
			out.f32[r] = float32(sum)
		}
		return nil
	}), nil
}

func buildSVMClassifier(d *decl) (op, error) {
	classes, err := d.labels("classlabels_ints", "classlabels_strings")
	if err != nil {
		return nil, err
	}
	post, err := d.transform()
	if err != nil {
		return nil, err
	}
	perClass, weights, rho := d.ints("vectors_per_class"), d.floats("coefficients"), d.floats("rho")
	probA, probB := d.floats("prob_a"), d.floats("prob_b")
	n, count := classes.count(), 0
	starts := []int{0}
	for _, v := range perClass {
		if v < 0 || v > 1<<24 || count > 1<<24 {
			return nil, refuse("%d support vectors", v)
		}
		count += int(v)
		starts = append(starts, count)
	}
	s, err := d.svm(count)
	if err != nil {
		return nil, err
	}
	pairs := n * (n - 1) / 2
	linear := count == 0
	switch {
	case n < 2 || n > 1<<10:
		return nil, refuse("%d classes", n)
	case linear:
		s.kernel, s.vectors, s.count, s.cols = "LINEAR", weights, n, len(weights)/n
		if len(rho) < 1 || len(weights)%n != 0 || s.cols == 0 || len(probA) > 0 {
			return nil, refuse("%d coefficients and %d intercepts for %d classes", len(weights), len(rho), n)
		}
	case len(perClass) != n || len(weights) < (n-1)*count || len(rho) < pairs || s.cols == 0 || len(probA) != len(probB) || len(probA) > 0 && len(probA) < pairs:
		return nil, refuse("%d coefficients and %d intercepts for %d classes and %d vectors", len(weights), len(rho), n, count)
	}
	positive := true
	for _, w := range weights {
		positive = positive && w >= 0
	}
	width := n
	if !linear && len(probA) == 0 && n > 2 {
		width = pairs
	}
	machines := pairMachines{starts, weights, rho}
	return func() kernel {
		similar := make([]float64, s.count)
		votes := make([]int, n)
		between := make([]float64, max(pairs, 2))
		couple := newCoupling(n)
		return func(c *call) error {
			rows, cols, err := table(c.in[0])
			if err != nil {
				return err
			}
			if cols != s.cols {
				return refuse("%d columns, the vectors have %d", cols, s.cols)
			}
			if err := c.work(rows, s.count, cols+n); err != nil {
				return err
			}
			if err := classes.make(c, rows); err != nil {
				return err
			}
			var scores *tensor
			if len(c.out) > 1 {
				if scores, err = c.make(1, Float, rows, width); err != nil {
					return err
				}
			}
			for r := range rows {
				for v := range similar {
					similar[v] = s.similar(c.in[0], r, s.vectors[v*cols:])
				}
				var answer []float64
				class := 0
				if linear {
					answer = similar
					for k := range answer {
						answer[k] += float64(rho[0])
					}
					class = best(answer)
					if n == 2 && (positive && answer[class] >= 0.5 || !positive && answer[class] > 0) {
						class = 1
					}
					post.apply(answer)
				} else {
					clear(votes)
					machines.decide(similar, between, votes)
					for k, v := range votes {
						if v > votes[class] {
							class = k
						}
					}
					switch {
					case len(probA) > 0:
						answer = couple.probabilities(between, probA, probB)
						post.apply(answer)
					case n == 2:
						// No label rule of its own here: scores as they are.
						answer = second(between, post, post != "NONE")
					default:
						answer = between[:pairs]
						post.apply(answer)
					}
				}
				classes.set(c, r, class)
				if scores != nil {
					for k, v := range answer[:width] {
						scores.f32[r*width+k] = float32(v)
					}
				}
			}
			return nil
		}
	}, nil
}

// pairMachines are the support vector machines that tell each pair of classes
// apart.
type pairMachines struct {
	starts  []int     // of each class's vectors, and their end
	weights []float32 // classes - 1 rows of one for each vector: those against the other classes, in order
	rho     []float32 // of each pair
}

// decide writes what each pair's machine says of a row that is so similar to the
// vectors, and gives each pair's vote.
func (p *pairMachines) decide(similar, between []float64, votes []int) {
	n := len(votes)
	count, pair := p.starts[n], 0
	for i := range n {
		for j := i + 1; j < n; j++ {
			sum := 0.0
			for v := p.starts[i]; v < p.starts[i+1]; v++ {
				sum += float64(p.weights[(j-1)*count+v] * float32(similar[v]))
			}
			for v := p.starts[j]; v < p.starts[j+1]; v++ {
				sum += float64(p.weights[i*count+v] * float32(similar[v]))
			}
			sum += float64(p.rho[pair])
			if sum > 0 {
				votes[i]++
			} else {
				votes[j]++
			}
			between[pair] = sum
			pair++
		}
	}
}

// coupling makes class probabilities of the probabilities within pairs, by
// the second method of Wu, Lin and Weng (2004), as libsvm does.
type coupling struct {
	n         int
	r, q      []float64 // n × n
	qp, p     []float64
	tolerance float64
}

func newCoupling(n int) *coupling {
	return &coupling{n, make([]float64, n*n), make([]float64, n*n), make([]float64, n), make([]float64, n), 0.005 / float64(n)}
}

func (c *coupling) probabilities(between []float64, a, b []float32) []float64 {
	n, r, q, p := c.n, c.r, c.q, c.p
	pair := 0
	for i := range n {
		for j := i + 1; j < n; j++ {
			v := 1 - stablemath.Sigmoid(float64(between[pair]*float64(a[pair]))+float64(b[pair]))
			v = max(1e-7, min(1-1e-7, v))
			r[i*n+j], r[j*n+i] = v, 1-v
			pair++
		}
	}
	for i := range n {
		p[i] = 1 / float64(n)
		q[i*n+i] = 0
		for j := range n {
			if j != i {
				q[i*n+i] += float64(r[j*n+i] * r[j*n+i])
				q[i*n+j] = -float64(r[j*n+i] * r[i*n+j])
			}
		}
	}
	for range 100 {
		pqp := 0.0
		for i := range n {
			c.qp[i] = 0
			for j := range n {
				c.qp[i] += float64(q[i*n+j] * p[j])
			}
			pqp += float64(p[i] * c.qp[i])
		}
		worst := 0.0
		for i := range n {
			worst = max(worst, math.Abs(c.qp[i]-pqp))
		}
		if worst < c.tolerance {
			break
		}
		for i := range n {
			d := (pqp - c.qp[i]) / q[i*n+i]
			p[i] += d
			pqp = (pqp + float64(d*(float64(d*q[i*n+i])+2*c.qp[i]))) / (1 + d) / (1 + d)
			for j := range n {
				c.qp[j] = (c.qp[j] + float64(d*q[i*n+j])) / (1 + d)
				p[j] /= 1 + d
			}
		}
	}
	return p
}
