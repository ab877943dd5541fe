package evaluate

import "math"

// Threshold is the probability from which on a row is said to be positive.
const Threshold = 0.5

// TwoClassDetail is what is shown of a two-class model beside its metrics.
// Counts are sums of weights.
type TwoClassDetail struct {
	Positive string `json:"positive"`
	Negative string `json:"negative"`
	Confusion
	Curve Curve      `json:"curve"`
	Bins  []ScoreBin `json:"bins"`
}

// Confusion is a confusion matrix at a threshold.
type Confusion struct {
	Threshold      float64 `json:"threshold"`
	TruePositives  float64 `json:"truePositives"`
	FalseNegatives float64 `json:"falseNegatives"`
	FalsePositives float64 `json:"falsePositives"`
	TrueNegatives  float64 `json:"trueNegatives"`
}

func (c *Confusion) total() float64 {
	return c.TruePositives + c.FalseNegatives + c.FalsePositives + c.TrueNegatives
}

func (c *Confusion) accuracy() float64 {
	return ratio(c.TruePositives+c.TrueNegatives, c.total())
}

func (c *Confusion) precision() float64 {
	return ratio(c.TruePositives, c.TruePositives+c.FalsePositives)
}

func (c *Confusion) recall() float64 {
	return ratio(c.TruePositives, c.TruePositives+c.FalseNegatives)
}

func (c *Confusion) fscore() float64 {
	return ratio(2*c.TruePositives, 2*c.TruePositives+c.FalsePositives+c.FalseNegatives)
}

// MaxCurve bounds the points of a curve.
const MaxCurve = 201

// Curve holds points of the ROC, precision-recall and lift curves, one from
// each vector, from the highest threshold down. The first, of no row said to be
// positive, has no threshold. Of many points those are kept that lie about
// evenly along the ROC curve.
type Curve struct {
	Threshold         []Number  `json:"threshold"`
	FalsePositiveRate []float64 `json:"falsePositiveRate"`
	TruePositiveRate  []float64 `json:"truePositiveRate"` // the recall
	Precision         []Number  `json:"precision"`
	// Fraction of all rows that is said to be positive, and Lift, the
	// precision over that of saying so of every row.
	Fraction []float64 `json:"fraction"`
	Lift     []Number  `json:"lift"`
}

// ScoreBin is one line of the table by threshold: rows with a probability from
// From to To, and measures of saying positive from From on.
type ScoreBin struct {
	From              float64 `json:"from"`
	To                float64 `json:"to"`
	Positives         float64 `json:"positives"`
	Negatives         float64 `json:"negatives"`
	FractionAbove     float64 `json:"fractionAboveThreshold"`
	Accuracy          float64 `json:"accuracy"`
	FScore            float64 `json:"fScore"`
	Precision         float64 `json:"precision"`
	Recall            float64 `json:"recall"`
	NegativePrecision float64 `json:"negativePrecision"`
	NegativeRecall    float64 `json:"negativeRecall"`
	CumulativeAUC     Number  `json:"cumulativeAUC"`
}

// scoreBins is the number of score bins.
const scoreBins = 10

// TwoClass measures probabilities p of the positive class against labels y,
// with weights w or nil. The vectors have one length and no missing values.
func TwoClass(y []bool, p, w []float64) (Metrics, *TwoClassDetail) {
	d := &TwoClassDetail{Confusion: Confusion{Threshold: Threshold}}
	loss, total := 0.0, 0.0
	for i, prob := range p {
		weight, said := weightOf(w, i), prob >= Threshold
		total += weight
		switch {
		case y[i] && said:
			d.TruePositives += weight
		case y[i]:
			d.FalseNegatives += weight
		case said:
			d.FalsePositives += weight
		default:
			d.TrueNegatives += weight
		}
		if y[i] {
			loss += weight * nlog(prob)
		} else {
			loss += weight * nlog(1-prob)
		}
	}
	loss /= total
	s := newSweep(y, p, w)
	d.Curve, d.Bins = s.curve(), s.bins()

	var m Metrics
	m.add(Accuracy, d.accuracy())
	m.add(Precision, d.precision())
	m.add(Recall, d.recall())
	m.add(FScore, d.fscore())
	m.add(AUC, s.auc())
	m.add(AverageLogLoss, loss)
	m.add(TrainingLogLoss, reduction(loss, []float64{s.positives, s.negatives}))
	return m, d
}

// sweep is the rows by falling probability, gathered where it is the same.
type sweep struct {
	groups               []group
	positives, negatives float64
}

// group is the rows of one probability.
type group struct{ p, positives, negatives float64 }

func newSweep(y []bool, p, w []float64) *sweep {
	rows := make([]ranked, len(p))
	for i, prob := range p {
		rows[i] = ranked{falling(prob), weightOf(w, i)}
		if !y[i] {
			rows[i].weight = -rows[i].weight
		}
	}
	rows = sortRanked(rows)
	s := new(sweep)
	for i, r := range rows {
		if i == 0 || r.key != rows[i-1].key {
			s.groups = append(s.groups, group{p: r.p()})
		}
		if g := &s.groups[len(s.groups)-1]; r.weight > 0 {
			g.positives += r.weight
			s.positives += r.weight
		} else {
			g.negatives -= r.weight
			s.negatives -= r.weight
		}
	}
	return s
}

// ranked is a row to sort: a key that rises as its probability falls, and its
// weight, below zero for a negative row.
type ranked struct {
	key    uint64
	weight float64
}

const signBit = 1 << 63

// falling maps numbers to integers of the opposite order.
func falling(p float64) uint64 {
	b := math.Float64bits(p + 0) // one zero
	if b&signBit != 0 {
		return b
	}
	return ^b &^ signBit
}

// p is the probability that falling mapped to the key.
func (r ranked) p() float64 {
	if r.key&signBit != 0 {
		return math.Float64frombits(r.key)
	}
	return math.Float64frombits(^r.key &^ signBit)
}

// sortRanked sorts by the key, byte by byte from the last: rows of one key keep
// their order, so that sums of weights are formed in the order of the table.
func sortRanked(rows []ranked) []ranked {
	var counts [8][256]int
	for _, r := range rows {
		for b := range counts {
			counts[b][byte(r.key>>(8*b))]++
		}
	}
	spare := make([]ranked, len(rows))
	for b := range counts {
		c := &counts[b]
		if len(rows) == 0 || c[byte(rows[0].key>>(8*b))] == len(rows) {
			continue // the byte is the same in all
		}
		at := 0
		for v, n := range c {
			c[v] = at
			at += n
		}
		for _, r := range rows {
			v := byte(r.key >> (8 * b))
			spare[c[v]] = r
			c[v]++
		}
		rows, spare = spare, rows
	}
	return rows
}

// auc is the area under the ROC curve by trapezoids: of a pair of a positive
// and a negative row, the chance that the positive one scores higher, ties
// counting half. NaN without either.
func (s *sweep) auc() float64 {
	if s.positives == 0 || s.negatives == 0 {
		return math.NaN()
	}
	area, tp := 0.0, 0.0
	for _, g := range s.groups {
		area += g.negatives * (tp + g.positives/2)
		tp += g.positives
	}
	return area / s.positives / s.negatives
}

func (s *sweep) curve() Curve {
	var c Curve
	all := s.positives + s.negatives
	base := ratio(s.positives, all)
	add := func(threshold, tp, fp float64) {
		precision := math.NaN()
		if tp+fp > 0 {
			precision = tp / (tp + fp)
		}
		c.Threshold = append(c.Threshold, Number(threshold))
		c.FalsePositiveRate = append(c.FalsePositiveRate, ratio(fp, s.negatives))
		c.TruePositiveRate = append(c.TruePositiveRate, ratio(tp, s.positives))
		c.Precision = append(c.Precision, Number(precision))
		c.Fraction = append(c.Fraction, ratio(tp+fp, all))
		c.Lift = append(c.Lift, Number(precision/base))
	}
	add(math.NaN(), 0, 0)
	const steps = MaxCurve - 2 // the first point and the last are there always
	tp, fp, next := 0.0, 0.0, 1.0
	for i, g := range s.groups {
		tp, fp = tp+g.positives, fp+g.negatives
		if i == len(s.groups)-1 { // but for what rounding did to sums of weights
			tp, fp = s.positives, s.negatives
		}
		along := (ratio(tp, s.positives) + ratio(fp, s.negatives)) / 2 * steps
		if along < next && len(s.groups) > steps && i < len(s.groups)-1 {
			continue
		}
		next = math.Floor(along) + 1
		add(g.p, tp, fp)
	}
	return c
}

func (s *sweep) bins() []ScoreBin {
	bins := make([]ScoreBin, 0, scoreBins)
	var at Confusion
	area, k := 0.0, 0
	for b := scoreBins - 1; b >= 0; b-- {
		bin := ScoreBin{From: float64(b) / scoreBins, To: float64(b+1) / scoreBins}
		for ; k < len(s.groups) && (s.groups[k].p >= bin.From || b == 0); k++ {
			g := s.groups[k]
			area += g.negatives * (at.TruePositives + g.positives/2)
			bin.Positives += g.positives
			bin.Negatives += g.negatives
			at.TruePositives += g.positives
			at.FalsePositives += g.negatives
		}
		if k == len(s.groups) { // but for what rounding did to sums of weights
			at.TruePositives, at.FalsePositives = s.positives, s.negatives
		}
		at.FalseNegatives, at.TrueNegatives = s.positives-at.TruePositives, s.negatives-at.FalsePositives
		bin.FractionAbove = ratio(at.TruePositives+at.FalsePositives, at.total())
		bin.Accuracy, bin.FScore, bin.Precision, bin.Recall = at.accuracy(), at.fscore(), at.precision(), at.recall()
		bin.NegativePrecision = ratio(at.TrueNegatives, at.TrueNegatives+at.FalseNegatives)
		bin.NegativeRecall = ratio(at.TrueNegatives, at.TrueNegatives+at.FalsePositives)
		bin.CumulativeAUC = Number(area / s.positives / s.negatives)
		bins = append(bins, bin)
	}
	return bins
}
