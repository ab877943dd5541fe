package onnx

func (d *decl) aggregate() (aggregate, error) {
	w, err := d.oneOf("aggregate_function", "SUM", "AVERAGE", "MIN", "MAX")
	return aggregate(w), err
}

func buildTreeRegressor(d *decl) (op, error) {
	targets := int(d.int("n_targets", 1))
	how, err := d.aggregate()
	if err != nil {
		return nil, err
	}
	post, err := d.transform()
	if err != nil {
		return nil, err
	}
	base, _, err := d.numbers("base_values")
	if err != nil {
		return nil, err
	}
	m, err := d.classic("target", targets)
	if err != nil {
		return nil, err
	}
	return regression(m, how, post, base)
}

// regression is the op of targets.
func regression(m *ensemble, how aggregate, post transform, base []float64) (op, error) {
	if len(base) != 0 && len(base) != m.targets {
		return nil, refuse("%d base values for %d targets", len(base), m.targets)
	}
	if m.targets == 1 && post != "NONE" && post != "PROBIT" { // ONNX Runtime leaves one target as it is
		post = "NONE"
	}
	engine, err := newTreeEngine(m, how)
	if err != nil {
		return nil, err
	}
	return func() kernel {
		run := newTreeRun(engine)
		return func(c *call) error {
			x := c.in[0]
			rows, _, err := table(x)
			if err != nil {
				return err
			}
			out, err := c.make(0, answerType(m, x), rows, m.targets)
			if err != nil {
				return err
			}
			return run.score(x, func(r int, t []float64) {
				for k := range base {
					t[k] = single(t[k]+base[k], x.typ == Double)
				}
				post.apply(t)
				for k, v := range t {
					out.set(r*len(t)+k, v)
				}
			})
		}
	}, nil
}

// answerType is float, but for TreeEnsemble of doubles.
func answerType(m *ensemble, x *tensor) Type {
	if m.typed && x.typ == Double {
		return Double
	}
	return Float
}

func buildTreeClassifier(d *decl) (op, error) {
	classes, err := d.labels("classlabels_int64s", "classlabels_strings")
	if err != nil {
		return nil, err
	}
	post, err := d.transform()
	if err != nil {
		return nil, err
	}
	base, _, err := d.numbers("base_values")
	if err != nil {
		return nil, err
	}
	n := classes.count()
	m, err := d.classic("class", n)
	if err != nil {
		return nil, err
	}
	if len(base) != 0 && len(base) != n && n > 2 || n < 2 {
		return nil, refuse("%d base values for %d classes", len(base), n)
	}
	// How two classes are answered depends on which have weights at all, and
	// on their signs.
	var has [2]bool
	positive := true
	for _, t := range m.trees {
		for i := range t {
			for _, w := range t[i].weights {
				if n == 2 {
					has[w.target] = true
				}
				positive = positive && w.value >= 0
			}
		}
	}
	limit := 0.0
	if positive && has[0] != has[1] {
		limit = 0.5
	}
	if n == 2 && len(base) > 1 || has[1] && len(base) > 0 {
		return nil, refuse("%d base values for two classes, on which ONNX and ONNX Runtime disagree", len(base))
	}
	engine, err := newTreeEngine(m, "SUM")
	if err != nil {
		return nil, err
	}
	return func() kernel {
		run := newTreeRun(engine)
		return func(c *call) error {
			x := c.in[0]
			rows, _, err := table(x)
			if err != nil {
				return err
			}
			if err := classes.make(c, rows); err != nil {
				return err
			}
			var scores *tensor
			if len(c.out) > 1 {
				if scores, err = c.make(1, Float, rows, n); err != nil {
					return err
				}
			}
			wide := x.typ == Double
			return run.score(x, func(r int, s []float64) {
				switch {
				case n > 2:
					for k, b := range base {
						s[k] = single(s[k]+b, wide)
					}
					classes.set(c, r, best(s))
					post.apply(s)
				case has[1]: // the second class decides alone
					classes.set(c, r, int(b2f[int32](s[1] > limit)))
					post.apply(s)
				default: // weights of the first class are the second's score
					if len(base) > 0 {
						s[0] = single(s[0]+base[0], wide)
					}
					classes.set(c, r, int(b2f[int32](s[0] > limit)))
					second(s, post, positive)
				}
				if scores != nil {
					for k, v := range s {
						scores.f32[r*n+k] = float32(v)
					}
				}
			})
		}
	}, nil
}
