package learn

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Width returns the number of goroutines that Each uses, at least 1.
func (s *Session) Width() int {
	if s.Workers > 0 {
		return s.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// Each calls do for every i below n, on up to Width goroutines, and returns
// when all calls have. The calls of one worker, a number below Width, come one
// after the other; which worker gets which i is chance, so that no result may
// depend on it. A panic in a call is one of Each, on its caller's goroutine,
// where it can be recovered.
func (s *Session) Each(n int, do func(worker, i int)) {
	width := min(s.Width(), n)
	if width <= 1 {
		for i := range n {
			do(0, i)
		}
		return
	}
	var next atomic.Int64
	claim := func(worker int) {
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			do(worker, int(i))
		}
	}
	var others sync.WaitGroup
	var panicked atomic.Pointer[any]
	for w := 1; w < width; w++ {
		others.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					panicked.CompareAndSwap(nil, &v)
				}
			}()
			claim(w)
		})
	}
	defer func() {
		others.Wait()
		if v := panicked.Load(); v != nil {
			panic(*v)
		}
	}()
	claim(0)
}

// SpanRows is the number of rows in a span.
const SpanRows = 1 << 14

// Spans cuts n rows into spans of SpanRows, calls do for each on the workers,
// and returns their number. Sums over rows are formed span by span and then
// added in the order of spans: a span is the same rows whatever the number of
// workers.
func (s *Session) Spans(n int, do func(span, from, to int)) int {
	spans := (n + SpanRows - 1) / SpanRows
	s.Each(spans, func(_, i int) {
		do(i, i*SpanRows, min(n, (i+1)*SpanRows))
	})
	return spans
}
