package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/batch"
)

// program is what package batch does about each message, as it was recorded.
type program struct {
	admit  []call
	plan   []call // but for its reading of the input, which is as long as that is
	chunk  []call // of a chunk whose group stays open
	load   []call // besides, of the first chunk of a segment that a process sees
	group  []call // besides, of the chunk that fills its group
	root   []call // besides, of the one that fills the last group
	commit []call // but for its queries of groups
	before int    // calls of commit before these

	rowBytes  float64 // of the input
	outRatio  float64 // bytes written for a byte read
	planBytes float64 // of the plan, for a chunk
}

// segmentChunks and queriesAtOnce are those of package batch.
const (
	segmentChunks = 1000
	queriesAtOnce = 16
)

// newProgram learns what messages do from a recording of more chunks than its
// window and two groups have.
func newProgram(r *recording) (*program, error) {
	p := &program{rowBytes: float64(r.inBytes) / float64(r.rows), outRatio: float64(r.outBytes) / float64(r.inBytes)}
	chunk := make(map[int][]call, r.chunks)
	for _, m := range r.messages {
		switch {
		case m.queue == batch.ChunkQueue:
			chunk[m.chunk] = m.calls
		case has(m.calls, "Commit"):
			p.commit = m.calls
		case has(m.calls, "Put"):
			p.plan = m.calls
		case p.plan == nil:
			p.admit = m.calls
		}
	}
	if len(r.windows) == 0 || r.chunks < r.windows[0]+2 || r.chunks <= 2*fanout || p.commit == nil || p.plan == nil {
		return nil, errors.New("the recorded job is too small to learn from, or its messages are others than were expected")
	}
	p.chunk = chunk[1]
	p.load = without(chunk[0], p.chunk)
	p.group = without(chunk[fanout-1], p.chunk)
	last := without(chunk[r.chunks-1], p.chunk)
	p.root = without(last, p.group)
	for _, c := range p.plan {
		if c.method == "Put" {
			p.planBytes = float64(c.up) / float64(r.chunks)
		}
	}
	p.plan = drop(p.plan, func(c call) bool {
		return c.key == inputKey && c.method == "Get" || c.key == batch.ChunkQueue || strings.HasPrefix(c.key, "{job}.")
	})
	p.before = -1
	p.commit = drop(p.commit, func(c call) bool { return c.method == "Query" && isGroup(c.key) })
	for i, c := range p.commit {
		if p.before < 0 && c.port == toBlob {
			p.before = i
		}
	}
	return p, nil
}

// isGroup reports whether key is the partition of a group of chunks.
func isGroup(key string) bool {
	rest, ok := strings.CutPrefix(key, "{job}.")
	if !ok {
		return false
	}
	_, err := strconv.Atoi(rest)
	return err == nil || rest == "{group}"
}

func has(calls []call, method string) bool {
	for _, c := range calls {
		if c.method == method {
			return true
		}
	}
	return false
}

func drop(calls []call, which func(call) bool) (rest []call) {
	for _, c := range calls {
		if !which(c) {
			rest = append(rest, c)
		}
	}
	return rest
}

// without is what calls has more than others, in order.
func without(calls, others []call) []call {
	left := make(map[string]int)
	for _, c := range others {
		left[c.name()]++
	}
	return drop(calls, func(c call) bool {
		left[c.name()]--
		return left[c.name()] >= 0
	})
}

// name is what a call is counted by.
func (c call) name() string {
	key := c.key
	switch {
	case isGroup(key):
		key = "{job}.{group}"
	case strings.Contains(key, "/plan/"):
		key = "plan"
	case c.port == toBlob && key != inputKey:
		key = "output"
	}
	return [...]string{"blob", "table", "queue"}[c.port] + " " + c.method + " " + key
}
