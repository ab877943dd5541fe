package onnx

// budget is how many elements a run may still fill. A graph of a few bytes
// can ask for tensors of any size; what it may ask for grows with its rows
// and with the file.
type budget int

func (b *budget) take(n int) error {
	if n < 0 || n > int(*b) {
		return refuse("the graph needs more memory than a model of its size may have")
	}
	*b -= budget(n)
	return nil
}

// call is a step as a session runs it.
type call struct {
	in  []*tensor // nil where an optional input is not given
	out []*tensor
	*scratch
}

// scratch is what the steps of a session share: none keeps anything in it.
type scratch struct {
	left budget
	// sample says that the rows are made up: what they hold is no reason to
	// refuse them.
	sample bool

	index, first, second, third []int // memory of walks
	sums, spare                 []float64
}

// make gives output k a type and a shape, which may be its own shape slice,
// and elements of any value.
func (c *call) make(k int, typ Type, shape ...int) (*tensor, error) {
	t := c.out[k]
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > 1<<40/d {
			return nil, refuse("a tensor of shape %v", append([]int(nil), shape...))
		}
		n *= d
	}
	if err := c.left.take(n + 1); err != nil {
		return nil, err
	}
	t.typ = typ
	t.shape = append(t.shape[:0], shape...)
	switch typ {
	case Float:
		t.f32 = room(t.f32, n)
	case Double:
		t.f64 = room(t.f64, n)
	case Int32:
		t.i32 = room(t.i32, n)
	case Int64:
		t.i64 = room(t.i64, n)
	case Bool:
		t.b = room(t.b, n)
	case String:
		t.s = room(t.s, n)
	default:
		return nil, refuse("elements of type %s are not supported", typ)
	}
	return t, nil
}

func room[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	return make([]T, n)
}

// runner runs a program: the memory of one caller.
type runner struct {
	p       *program
	values  []*tensor
	kernels []kernel
	calls   []call
	scratch scratch
}

func (p *program) runner() *runner {
	r := &runner{p: p, values: make([]*tensor, len(p.consts))}
	copy(r.values, p.consts)
	// One array for the values that are computed.
	own := make([]tensor, len(p.consts))
	for i := range r.values {
		if r.values[i] == nil {
			r.values[i] = &own[i]
		}
	}
	r.kernels = make([]kernel, len(p.steps))
	r.calls = make([]call, len(p.steps))
	ends := 0
	for i := range p.steps {
		ends += len(p.steps[i].in) + len(p.steps[i].out)
	}
	all := make([]*tensor, 0, ends)
	pick := func(values []int) []*tensor {
		start := len(all)
		for _, v := range values {
			var t *tensor
			if v != none {
				t = r.values[v]
			}
			all = append(all, t)
		}
		return all[start:len(all):len(all)]
	}
	for i := range p.steps {
		s := &p.steps[i]
		r.kernels[i] = s.op()
		r.calls[i] = call{pick(s.in), pick(s.out), &r.scratch}
	}
	return r
}

// input returns input i, to be filled before run.
func (r *runner) input(i int) *tensor { return r.values[r.p.inputs[i]] }

// output returns output i of the last run, which is read only.
func (r *runner) output(i int) *tensor { return r.values[r.p.outputs[i]] }

// run computes the outputs. rows scales what it may fill.
func (r *runner) run(rows int) error {
	r.scratch.left = r.p.budget * budget(rows)
	for i, k := range r.kernels {
		if err := k(&r.calls[i]); err != nil {
			return &Refusal{r.p.steps[i].name, err.Error()}
		}
	}
	return nil
}

// spread walks the elements of shape, a run of the last dimension at a time:
// visit gets where the run begins in the output and in xs, and how far its
// elements lie apart in each of xs (0 or 1). At most three xs.
func (c *call) spread(shape []int, visit func(to int, from, step [3]int, n int), xs ...*tensor) {
	total := elements(shape)
	if total == 0 {
		return
	}
	if len(shape) == 0 {
		visit(0, [3]int{}, [3]int{}, 1)
		return
	}
	by := [3]*[]int{&c.first, &c.second, &c.third}
	var from, step [3]int
	last := len(shape) - 1
	for k, x := range xs {
		*by[k] = strides(*by[k], x.shape, shape)
		step[k] = (*by[k])[last]
	}
	n := shape[last]
	c.index = append(c.index[:0], shape...)
	clear(c.index)
	for to := 0; ; to += n {
		visit(to, from, step, n)
		d := last - 1
		for ; d >= 0; d-- {
			c.index[d]++
			for k := range xs {
				from[k] += (*by[k])[d]
			}
			if c.index[d] < shape[d] {
				break
			}
			for k := range xs {
				from[k] -= (*by[k])[d] * shape[d]
			}
			c.index[d] = 0
		}
		if d < 0 {
			return
		}
	}
}
