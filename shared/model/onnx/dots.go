package onnx

// dots computes, for each of rows rows of x and each of n lists of cols
// weights, the sum of their products in order, to sums[row*n+list]: each
// product is exact in float64 and each sum is rounded to float32, as the fused
// additions of ONNX Runtime's kernels are. A sum waits for the one before it,
// so several are formed side by side: eight rows, or the lists of one row.
func (c *call) dots(x *tensor, rows, cols int, weights []float32, n int, sums []float64) {
	if rows == 1 {
		c.spare = room(c.spare, cols)
		for i := range c.spare {
			c.spare[i] = single(x.at(i), false)
		}
		k := 0
		for ; k+2 <= n; k += 2 {
			sums[k], sums[k+1] = dot2(c.spare, weights[k*cols:][:cols], weights[(k+1)*cols:][:cols])
		}
		if k < n {
			sums[k], _ = dot2(c.spare, weights[k*cols:][:cols], weights[k*cols:][:cols])
		}
		return
	}
	c.spare = room(c.spare, 8*cols)
	var eight [8]float64
	for r := 0; r < rows; r += 8 {
		part := min(8, rows-r)
		for i := range part {
			if x.typ == Float {
				for k, v := range x.f32[(r+i)*cols : (r+i+1)*cols] {
					c.spare[8*k+i] = float64(v)
				}
				continue
			}
			for k := range cols {
				c.spare[8*k+i] = single(x.at((r+i)*cols+k), false)
			}
		}
		for k := range n {
			dot8(c.spare, weights[k*cols:][:cols], &eight)
			for i := range part {
				sums[(r+i)*n+k] = eight[i]
			}
		}
	}
}

// dot2 is the sums of one row and two lists.
func dot2(x []float64, v, w []float32) (a, b float64) {
	w, x = w[:len(v)], x[:len(v)]
	for i, u := range x {
		a = float64(float32(a + float64(u*float64(v[i]))))
		b = float64(float32(b + float64(u*float64(w[i]))))
	}
	return a, b
}

// dot8 is the sums of eight rows, whose column i stands at x[8*i:], and a list.
func dot8(x []float64, list []float32, sums *[8]float64) {
	var a, b, c, d, e, f, g, h float64
	for _, w := range list {
		w, x8 := float64(w), (*[8]float64)(x)
		a = float64(float32(a + float64(x8[0]*w)))
		b = float64(float32(b + float64(x8[1]*w)))
		c = float64(float32(c + float64(x8[2]*w)))
		d = float64(float32(d + float64(x8[3]*w)))
		e = float64(float32(e + float64(x8[4]*w)))
		f = float64(float32(f + float64(x8[5]*w)))
		g = float64(float32(g + float64(x8[6]*w)))
		h = float64(float32(h + float64(x8[7]*w)))
		x = x[8:]
	}
	*sums = [8]float64{a, b, c, d, e, f, g, h}
}
