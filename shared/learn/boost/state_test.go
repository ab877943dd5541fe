package boost

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"

	"github.com/portico-ml/portico/shared/learn"
)

func TestDamagedState(t *testing.T) {
	d := mixed(200, 2, 11)
	one := newTraining(t, TwoClass, d, Options{Leaves: 4, MinLeaf: 5, Rate: 1, Rounds: 2}, learn.NewSession())
	if err := one.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	good, err := one.state()
	if err != nil {
		t.Fatal(err)
	}
	resume := func(state []byte) error {
		s := learn.NewSession()
		s.Saved = state
		return newTraining(t, TwoClass, d, Options{Leaves: 4, MinLeaf: 5, Rate: 1, Rounds: 2}, s).resume()
	}
	if err := resume(good); err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if resume(good[:n]) == nil {
			t.Fatalf("a state cut at %d bytes of %d is taken", n, len(good))
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x80
		_ = resume(bad) // it may be another tree; it must not hang or panic
	}
}

func TestOptions(t *testing.T) {
	good := Options{Leaves: 2, MinLeaf: 1, Rate: 1, Rounds: 1}
	for name, change := range map[string]func(*Options){
		"leaves": func(o *Options) { o.Leaves = 1 },
		"rows":   func(o *Options) { o.MinLeaf = 0 },
		"rate":   func(o *Options) { o.Rate = 0 },
		"fast":   func(o *Options) { o.Rate = 1.5 },
		"nan":    func(o *Options) { o.Rate = math.NaN() },
		"trees":  func(o *Options) { o.Rounds = 0 },
	} {
		o := good
		change(&o)
		if _, err := TwoClass(o); err == nil {
			t.Errorf("%s: %+v is taken", name, o)
		}
	}
	if _, err := TwoClass(good); err != nil {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := Multiclass(Options{Leaves: 4, MinLeaf: 5, Rate: 1, Rounds: 1000})
	if err != nil {
		t.Fatal(err)
	}
	s := learn.NewSession()
	rounds := 0
	s.Checkpoint = func(func() ([]byte, error)) error {
		if rounds++; rounds == 2 {
			cancel()
		}
		return nil
	}
	if _, err := l.Train(ctx, mixed(300, 3, 12), s); !errors.Is(err, context.Canceled) || rounds != 2 {
		t.Errorf("after %d rounds: %v", rounds, err)
	}
}
