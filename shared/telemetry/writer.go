package telemetry

import (
	"io"
	"strconv"
	"sync"
	"time"
)

const (
	flushAfter = 100 * time.Millisecond
	flushAt    = 32 << 10
	// maxHeld bounds the lines held while the other side does not read. Past
	// it lines are dropped and counted: a full pipe must not stop a call.
	maxHeld = 4 << 20
)

// Writer gathers lines and writes them together, at the latest 100 ms after
// the first of them: the logging call copies the line and returns. What is lost
// when the process is killed is therefore at most the last 100 ms. Nothing
// runs while there is nothing to write.
type Writer struct {
	out     io.Writer
	through bool

	mu      sync.Mutex
	held    []byte
	dropped int
	timer   *time.Timer

	writing sync.Mutex // keeps the order of flushes
	spare   []byte
}

// NewWriter returns a Writer to out. With through every line is written at
// once: for hosts that freeze the process between calls.
func NewWriter(out io.Writer, through bool) *Writer {
	return &Writer{out: out, through: through}
}

// Write takes one line.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	if len(w.held)+len(line) > maxHeld {
		w.dropped++
		w.mu.Unlock()
		return len(line), nil
	}
	before := len(w.held)
	w.held = append(w.held, line...)
	switch {
	case w.through:
	case w.timer == nil:
		w.timer = time.AfterFunc(flushAfter, w.Flush)
	case before == 0:
		w.timer.Reset(flushAfter)
	case before < flushAt && len(w.held) >= flushAt:
		w.timer.Reset(0) // at once, but on the timer's goroutine
	}
	w.mu.Unlock()
	if w.through {
		w.Flush()
	}
	return len(line), nil
}

// Flush writes what is held.
func (w *Writer) Flush() {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.mu.Lock()
	lines, dropped := w.held, w.dropped
	w.held, w.dropped = w.spare[:0], 0
	w.mu.Unlock()
	if dropped > 0 {
		lines = append(lines, `{"level":"ERROR","msg":"log lines dropped: nobody reads them","lines":`...)
		lines = append(strconv.AppendInt(lines, int64(dropped), 10), "}\n"...)
	}
	if len(lines) > 0 {
		w.out.Write(lines) //nolint:errcheck // there is no other place to say that the log cannot be written
	}
	w.spare = nil
	if cap(lines) <= 4*flushAt {
		w.spare = lines[:0]
	}
}
