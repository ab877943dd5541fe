package evaluate

import (
	"math"
	"runtime"
	"sync"
)

// MaxConfusion bounds the classes of a confusion matrix that is shown.
const MaxConfusion = 100

// MulticlassDetail is what is shown of a multiclass model beside its metrics.
// Counts are sums of weights.
type MulticlassDetail struct {
	Classes []ClassDetail `json:"classes"`
	// Confusion[actual][said], in the order of Classes; left out with more than
	// MaxConfusion classes.
	Confusion [][]float64 `json:"confusion,omitempty"`
}

// ClassDetail measures one class against all others together.
type ClassDetail struct {
	Class          string  `json:"class"`
	Count          float64 `json:"count"`
	Precision      float64 `json:"precision"`
	Recall         float64 `json:"recall"`
	FScore         float64 `json:"fScore"`
	AUC            Number  `json:"auc"`
	AverageLogLoss Number  `json:"averageLogLoss"` // over the rows of the class
}

// Multiclass measures classes said, and probabilities p[class][row], against
// labels y, with weights w or nil. y and said are positions in classes; said is
// -1 where it is none of them. p is nil where no probabilities were scored:
// measures that need them are NaN then.
//
// Precision, Recall, F-Score and AUC are means over the classes, each against
// the others together, of the classes that rows have or were said to have.
func Multiclass(classes []string, y, said []int32, p [][]float64, w []float64) (Metrics, *MulticlassDetail) {
	k := len(classes)
	matrix, stray := make([][]float64, k), make([]float64, k) // stray rows were said to be none of the classes
	for c := range matrix {
		matrix[c] = make([]float64, k)
	}
	losses := make([]float64, k)
	for i, actual := range y {
		weight := weightOf(w, i)
		if said[i] < 0 {
			stray[actual] += weight
		} else {
			matrix[actual][said[i]] += weight
		}
		if p != nil {
			losses[actual] += weight * nlog(p[actual][i])
		}
	}
	aucs := oneAgainstRest(k, y, p, w)

	d := &MulticlassDetail{}
	var counts []float64
	var correct, total, loss, precision, recall, fscore, auc, average float64
	seen, ranked := 0.0, 0.0
	for c, class := range classes {
		var at Confusion
		at.TruePositives, at.FalseNegatives = matrix[c][c], stray[c]
		for o := range classes {
			if o != c {
				at.FalseNegatives += matrix[c][o]
				at.FalsePositives += matrix[o][c]
			}
		}
		count := at.TruePositives + at.FalseNegatives
		counts = append(counts, count)
		total, correct, loss = total+count, correct+at.TruePositives, loss+losses[c]
		x := ClassDetail{Class: class, Count: count, Precision: at.precision(), Recall: at.recall(), FScore: at.fscore(), AUC: Number(aucs[c])}
		x.AverageLogLoss = Number(math.NaN())
		if p != nil && count > 0 {
			x.AverageLogLoss = Number(losses[c] / count)
		}
		d.Classes = append(d.Classes, x)
		average += at.FalsePositives + at.FalseNegatives
		if count > 0 || at.FalsePositives > 0 {
			seen++
			precision, recall, fscore = precision+x.Precision, recall+x.Recall, fscore+x.FScore
		}
		if !math.IsNaN(aucs[c]) {
			ranked++
			auc += aucs[c]
		}
	}
	if k <= MaxConfusion {
		d.Confusion = matrix
	}
	if loss /= total; p == nil {
		loss = math.NaN()
	}
	accuracy := ratio(correct, total)
	precision, recall, fscore = ratio(precision, seen), ratio(recall, seen), ratio(fscore, seen)
	if auc /= ranked; ranked == 0 {
		auc = math.NaN()
	}
	var m Metrics
	m.add(Accuracy, accuracy)
	m.add(Precision, precision)
	m.add(Recall, recall)
	m.add(FScore, fscore)
	m.add(AUC, auc)
	m.add(AverageLogLoss, loss)
	m.add(TrainingLogLoss, reduction(loss, counts))
	m.add(OverallAccuracy, accuracy)
	m.add(AverageAccuracy, 1-ratio(average, total*float64(k)))
	m.add(MicroPrecision, accuracy)
	m.add(MacroPrecision, precision)
	m.add(MicroRecall, accuracy)
	m.add(MacroRecall, recall)
	return m, d
}

// oneAgainstRest is the AUC of each class.
func oneAgainstRest(k int, y []int32, p [][]float64, w []float64) []float64 {
	out := make([]float64, k)
	for c := range out {
		out[c] = math.NaN()
	}
	if p == nil {
		return out
	}
	var all sync.WaitGroup
	next := make(chan int)
	for range min(k, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			is := make([]bool, len(y))
			for c := range next {
				for i, actual := range y {
					is[i] = int(actual) == c
				}
				out[c] = newSweep(is, p[c], w).auc()
			}
		})
	}
	for c := range k {
		next <- c
	}
	close(next)
	all.Wait()
	return out
}
