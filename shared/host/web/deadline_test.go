package web

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadline looks and waits, before the time and after it.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deadline{Context: t.Context(), at: time.Now().Add(time.Minute)}
		if at, ok := d.Deadline(); !ok || !at.Equal(d.at) {
			t.Errorf("deadline %v, %v", at, ok)
		}
		if err := d.Err(); err != nil {
			t.Errorf("before: %v", err)
		}
		if d.timed != nil {
			t.Error("looking made a timer")
		}
		child, cancel := context.WithCancel(d) // waits, by AfterFunc
		defer cancel()
		<-d.Done()
		synctest.Wait()
		for name, ctx := range map[string]context.Context{"itself": d, "child": child} {
			if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s, after: %v", name, err)
			}
		}
	})
}

// TestDeadlineParent follows a client that goes away, and an earlier deadline.
func TestDeadlineParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(t.Context(), time.Second)
		d := &deadline{Context: parent, at: time.Now().Add(time.Minute)}
		if at, _ := d.Deadline(); time.Until(at) != time.Second {
			t.Errorf("the parent's deadline is earlier: %v", at)
		}
		done := d.Done()
		cancel()
		<-done
		if err := d.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// TestDeadlineEnd frees those who still wait when the call is over, and tells
// them why. A child behind a value waits on a goroutine of package context,
// which may see the call's end although the child has ended too.
func TestDeadlineEnd(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		d := &deadline{Context: t.Context(), at: time.Now().Add(time.Hour)}
		near, cancel := context.WithCancel(d)
		defer cancel()
		far, cancel := context.WithCancel(context.WithValue(d, key{}, 1))
		defer cancel()
		d.end()
		late, cancel := context.WithCancel(d)
		defer cancel()
		<-d.Done()
		synctest.Wait()
		for name, ctx := range map[string]context.Context{"itself": d, "child": near, "child behind a value": far, "late child": late} {
			if err := ctx.Err(); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
		time.Sleep(2 * time.Hour)
		if err := d.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("another error later: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // after its time
		d := &deadline{Context: t.Context(), at: time.Now().Add(time.Second)}
		time.Sleep(2 * time.Second)
		d.end()
		if err := d.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
