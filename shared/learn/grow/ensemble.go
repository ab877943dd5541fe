package grow

import (
	"bytes"
	"context"
	"encoding/gob"
	"math/rand/v2"

	"github.com/portico-ml/portico/shared/learn"
)

// Ensemble grows n members on the session's workers, as many at a time, each
// from random numbers of its own, and offers a checkpoint in between. Worker
// makes what grows one member after the other with working memory of its own;
// it may give up, and return nil, once ctx has ended. What T exports is saved
// at checkpoints, and must be all there is of it.
func Ensemble[T any](ctx context.Context, s *learn.Session, n int, seed uint64, worker func() func(*rand.Rand) *T) ([]*T, error) {
	members, err := restore[T](s.Saved, n)
	if err != nil {
		return nil, err
	}
	width := min(s.Width(), n)
	workers := make([]func(*rand.Rand) *T, width)
	for len(members) < n {
		first := len(members)
		members = append(members, make([]*T, min(width, n-first))...)
		s.Each(len(members)-first, func(w, i int) {
			if workers[w] == nil {
				workers[w] = worker()
			}
			members[first+i] = workers[w](rand.New(rand.NewPCG(seed, uint64(first+i))))
		})
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.Progress(first, len(members), n, "grown")
		if len(members) == n {
			break
		}
		if err := s.Checkpoint(func() ([]byte, error) { return save(members) }); err != nil {
			return nil, err
		}
	}
	return members, nil
}

func save[T any](members []*T) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(members)
	return b.Bytes(), err
}

func restore[T any](saved []byte, n int) ([]*T, error) {
	if saved == nil {
		return nil, nil
	}
	var members []*T
	if err := gob.NewDecoder(bytes.NewReader(saved)).Decode(&members); err != nil || len(members) > n {
		return nil, learn.Errorf(1000, "the saved state is not of this training").Because(err)
	}
	return members, nil
}
