package learn

// WeightOf returns the weight of row r.
func (d *Data) WeightOf(r int) float64 {
	if d.Weight == nil {
		return 1
	}
	return d.Weight[r]
}

// TotalWeight returns the sum of the rows' weights.
func (d *Data) TotalWeight() float64 {
	if d.Weight == nil {
		return float64(d.Rows)
	}
	sum := 0.0
	for _, w := range d.Weight {
		sum += w
	}
	return sum
}

// MeanLabel returns the mean of the labels by weight: for two classes the
// share of the positive one.
func (d *Data) MeanLabel() float64 {
	sum, first := 0.0, d.Label[0] // differences from it keep the digits of labels far from 0
	for r, y := range d.Label {
		sum += float64(d.WeightOf(r) * (y - first))
	}
	return first + sum/d.TotalWeight()
}

// ClassWeights returns the sum of the weights of each class's rows.
func (d *Data) ClassWeights() []float64 {
	sums := make([]float64, d.Classes)
	for r, y := range d.Label {
		sums[int(y)] += d.WeightOf(r)
	}
	return sums
}
