package event

import (
	"context"
	"sync"
)

// Places are the deliveries that one process has, shared by its workers, so
// that a message under suspicion can have the process to itself: what else is
// there when it ends the process, though it only waits, loses a try with it.
type Places struct {
	mu     sync.Mutex
	here   int           // deliveries between their arrival and their answer
	left   chan struct{} // tells whoever waits to be alone that one has gone
	wanted chan struct{} // closed while somebody is alone, or waits to be
	alone  bool          // the same
}

// NewPlaces returns the places of a process. Each Work bounds itself by its
// own Limit; Places only knows "one of many" and "alone".
func NewPlaces() *Places {
	return &Places{left: make(chan struct{}, 1), wanted: make(chan struct{})}
}

// arrive counts a delivery, until depart.
func (p *Places) arrive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.here++
}

func (p *Places) depart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.here--
	select {
	case p.left <- struct{}{}:
	default:
	}
}

// unwanted returns a channel that is closed while all who have not begun are
// to go away.
func (p *Places) unwanted() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wanted
}

// takeAlone sends all others away and waits until they are gone. It reports
// whether the caller, who has arrived, is alone; giveBack ends that.
func (p *Places) takeAlone(ctx context.Context) bool {
	p.mu.Lock()
	if p.alone { // there can be one
		p.mu.Unlock()
		return false
	}
	p.alone = true
	close(p.wanted)
	p.mu.Unlock()
	for !p.deserted() {
		select {
		case <-p.left:
		case <-ctx.Done():
			p.giveBack()
			return false
		}
	}
	return true
}

func (p *Places) deserted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.here == 1
}

func (p *Places) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alone, p.wanted = false, make(chan struct{})
}
