package learn_test

import (
	"sync/atomic"
	"testing"

	"github.com/portico-ml/portico/shared/learn"
)

func TestEach(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		s := &learn.Session{Workers: workers}
		var calls [100]atomic.Int32
		s.Each(len(calls), func(worker, i int) {
			if worker < 0 || worker >= workers {
				t.Errorf("worker %d of %d", worker, workers)
			}
			calls[i].Add(1)
		})
		for i := range calls {
			if n := calls[i].Load(); n != 1 {
				t.Errorf("%d workers: %d is done %d times", workers, i, n)
			}
		}
	}
}

func TestEachPanics(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		func() {
			defer func() {
				if v := recover(); v != "seven" {
					t.Errorf("%d workers: recovered %v", workers, v)
				}
			}()
			(&learn.Session{Workers: workers}).Each(100, func(_, i int) {
				if i == 7 {
					panic("seven")
				}
			})
			t.Errorf("%d workers: the panic is lost", workers)
		}()
	}
}
