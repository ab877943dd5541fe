package web

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// deadline is a context that ends at a time, without a timer until somebody
// waits for it. Most calls only look (Err, between blocks of rows): a timer
// that is made, started and stopped for each would cost more than scoring does.
type deadline struct {
	context.Context
	at    time.Time
	ended atomic.Bool // by end, and by nothing before

	mu     sync.Mutex
	timed  context.Context // made by the first who waits
	cancel context.CancelFunc
}

// Deadline returns the earlier of this deadline and the parent's.
func (d *deadline) Deadline() (time.Time, bool) {
	if t, ok := d.Context.Deadline(); ok && t.Before(d.at) {
		return t, true
	}
	return d.at, true
}

// Err reports the call's end, the parent's end, or that the time has passed.
func (d *deadline) Err() error {
	if d.ended.Load() {
		return context.Canceled
	}
	if err := d.Context.Err(); err != nil {
		return err
	}
	if time.Now().Before(d.at) {
		return nil
	}
	return context.DeadlineExceeded
}

// Done makes the timer.
func (d *deadline) Done() <-chan struct{} { return d.wait().Done() }

// AfterFunc lets contexts derived from this one follow it without a goroutine.
func (d *deadline) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(d.wait(), f) }

func (d *deadline) wait() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.timed, d.cancel = context.WithDeadline(d.Context, d.at)
		if d.ended.Load() {
			d.cancel()
		}
	}
	return d.timed
}

// end frees the timer. Who still waits is told that the call is over; Err has to
// say so too, for package context panics where Done is closed and Err is nil.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Err() == nil {
		d.ended.Store(true)
	}
	if d.cancel != nil {
		d.cancel()
	}
}
