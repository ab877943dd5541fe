// Package event is the handler shape of every trigger that is not HTTP.
//
// Delivery is at least once, in any order: a handler must be safe to repeat
// and safe to lose at any instant.
package event

import (
	"context"
	"time"
)

// Event is one delivery of a queue message or timer tick, whatever the host.
type Event struct {
	// Function is the name of the trigger function addressed.
	Function string
	// ID identifies the invocation, for logs only.
	ID string
	// Body is the message text as it was sent; empty for a timer.
	Body []byte
	// DequeueCount is how often the message has been handed out, this time
	// included: above 1, an earlier worker died or the host did. 0 for a timer.
	DequeueCount int
	// Inserted is when the message was sent; zero where the host does not say.
	Inserted time.Time
}

// Handler handles one event. A nil return acknowledges it. An error asks the
// host to deliver it again: return one only where that can help; a permanent
// failure is recorded on the work itself and acknowledged.
type Handler func(ctx context.Context, e Event) error
