package main

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/batch"
)

// simJob is a job of package batch in the simulation.
type simJob struct {
	id     string
	chunks int
	window int
	bytes  float64 // of a chunk

	done    []bool
	scored  []int // how often each was
	inGroup []int // done chunks of each group
	closed  []int // full groups of each upper group, as far as rows say so
	isFull  []bool

	planned, ran, finished time.Duration
}

func newJob(id string, bytes, chunkBytes float64, window int) *simJob {
	n := max(1, int(math.Ceil(bytes/chunkBytes)))
	groups := (n + fanout - 1) / fanout
	return &simJob{
		id: id, chunks: n, window: window, bytes: bytes / float64(n),
		done: make([]bool, n), scored: make([]int, n), inGroup: make([]int, groups), isFull: make([]bool, groups), closed: make([]int, (groups+fanout-1)/fanout),
	}
}

func (j *simJob) groupSize(g int) int { return min(fanout, j.chunks-g*fanout) }

// newSim is n instances that have nothing to do, and the jobs that are started
// at time 0.
func newSim(m machine, l limits, p *program, n int, seed uint64, jobs ...*simJob) *sim {
	s := &sim{
		machine: m, account: newAccount(l), rnd: rand.New(rand.NewPCG(seed, 2014)), program: p, calls: map[string]int{},
		queues: map[string]*simQueue{batch.JobQueue: {}, batch.ChunkQueue: {}},
	}
	var all *cores
	for range n {
		i := &instance{cores: &cores{n: m.cores}, segments: map[string]bool{}}
		if all == nil {
			all = i.cores
		}
		if m.shared {
			i.cores = all
		}
		s.instances = append(s.instances, i)
		for queue, limit := range map[string]int{batch.JobQueue: 8, batch.ChunkQueue: m.places} {
			i.pollers = append(i.pollers, &poller{s: s, i: i, queue: queue, limit: limit, pause: m.polling, chunks: queue == batch.ChunkQueue})
		}
		if i.pollers[0].chunks { // maps have no order
			i.pollers[0], i.pollers[1] = i.pollers[1], i.pollers[0]
		}
		for _, p := range i.pollers {
			p.poll(time.Duration(s.rnd.Int64N(int64(m.polling))))
		}
	}
	for _, j := range jobs {
		s.send(batch.JobQueue, &simMessage{job: j, step: "admit"}, 0)
	}
	return s
}

// handle does a message, and says whether it is done with.
func (s *sim) handle(i *instance, m *simMessage, then func(ok bool)) {
	j := m.job
	switch m.step {
	case "admit":
		s.do(i, j, 0, s.program.admit, then, func() {
			s.send(batch.JobQueue, &simMessage{job: j, step: "plan"}, 0)
			then(true)
		})
	case "plan":
		if j.planned > 0 { // it came again: the job runs already
			s.launch(i, j, 0, then)
			return
		}
		s.scan(i, j, then, func() {
			s.do(i, j, 0, s.program.plan, then, func() {
				j.planned = s.now
				s.launch(i, j, 0, then)
			})
		})
	case "commit":
		s.commit(i, j, then)
	default:
		s.chunk(i, j, m.chunk, then)
	}
}

// do makes calls one after the other.
func (s *sim) do(i *instance, j *simJob, chunk int, calls []call, fail func(bool), then func()) {
	if len(calls) == 0 {
		then()
		return
	}
	c := calls[0]
	s.calls[c.name()]++
	s.call(i, s.request(j, chunk, c), func(ok bool) {
		if !ok {
			fail(false)
			return
		}
		s.effect(j, chunk, c)
		s.do(i, j, chunk, calls[1:], fail, then)
	})
}

// request is a recorded call made for a chunk of a job.
func (s *sim) request(j *simJob, chunk int, c call) request {
	r := request{port: c.port, key: c.key, count: float64(c.count), up: float64(c.up), down: float64(c.down)}
	g := chunk / fanout
	if c.port == toTable && c.method == "Query" {
		switch c.key {
		case "{job}.{group}":
			r.count = float64(max(1, j.inGroup[g]))
		case "{job}.g.{upper}":
			r.count = float64(max(1, j.closed[g/fanout]))
		}
		r.down = r.count * messageBytes
	}
	switch c.name() {
	case "blob Get " + inputKey:
		r.down = j.bytes
	case "blob PutPart output":
		if c.up > chunkRecorded/4 { // no header
			r.up = j.bytes * s.program.outRatio
		}
	case "blob Get plan":
		r.down = s.program.planBytes * segmentChunks
	}
	r.key = strings.NewReplacer(inputKey, j.id+"/"+inputKey, "{job}", j.id, "{group}", strconv.Itoa(g), "{upper}", strconv.Itoa(g/fanout)).Replace(r.key)
	return r
}

// effect is what a call changed.
func (s *sim) effect(j *simJob, chunk int, c call) {
	if c.method != "Apply" {
		return
	}
	g := chunk / fanout
	switch {
	case c.key == "{job}.{group}" && !j.done[chunk]:
		j.done[chunk] = true
		j.inGroup[g]++
	case c.key == "{job}.g.{upper}" && !j.isFull[g]:
		j.isFull[g] = true
		j.closed[g/fanout]++
	}
}

// scan reads the input by several requests at once and cuts it, in order.
func (s *sim) scan(i *instance, j *simJob, fail func(bool), then func()) {
	all := j.bytes * float64(j.chunks)
	pieces := int(math.Ceil(all / batch.ScanBytes))
	each := all / float64(pieces)
	took := seconds(each / s.program.rowBytes * s.machine.scan.Seconds())
	there := make([]bool, pieces)
	asked, cut, busy, failed := 0, 0, false, false
	var work func()
	ask := func() {
		if asked == pieces {
			return
		}
		n := asked
		asked++
		s.calls["blob Get "+inputKey]++
		s.call(i, request{port: toBlob, key: j.id + "/" + inputKey, down: each}, func(ok bool) {
			if there[n] = ok; ok {
				work()
			} else if !failed {
				failed = true
				fail(false)
			}
		})
	}
	work = func() {
		if failed || busy || cut == pieces || !there[cut] {
			return
		}
		busy = true
		s.work(i, took, func() {
			busy = false
			cut++
			ask()
			if cut == pieces {
				then()
				return
			}
			work()
		})
	}
	for range s.readers {
		ask()
	}
}

// launch sends the first window, as far as it is not done.
func (s *sim) launch(i *instance, j *simJob, n int, then func(bool)) {
	for n < min(j.window, j.chunks) && j.done[n] {
		n++
	}
	if n == min(j.window, j.chunks) {
		then(true)
		return
	}
	s.sendChunk(i, j, n, then, func() { s.launch(i, j, n+1, then) })
}

func (s *sim) sendChunk(i *instance, j *simJob, n int, fail func(bool), then func()) {
	s.calls["queue Send "+batch.ChunkQueue]++
	s.call(i, request{port: toQueue, key: batch.ChunkQueue, count: 1, up: messageBytes}, func(ok bool) {
		if !ok {
			fail(false)
			return
		}
		s.send(batch.ChunkQueue, &simMessage{job: j, chunk: n}, 0)
		then()
	})
}

// chunk does one chunk: what was recorded of one, with the processor's work
// before its output is staged.
func (s *sim) chunk(i *instance, j *simJob, n int, then func(bool)) {
	calls := s.program.chunk
	if j.done[n] { // it came again: neither read nor scored nor written
		calls = drop(calls, func(c call) bool { return c.port == toBlob || c.method == "Apply" })
	} else if segment := j.id + "/" + strconv.Itoa(n/segmentChunks); !i.segments[segment] {
		i.segments[segment] = true
		calls = append(append([]call(nil), s.program.load...), calls...)
	}
	var send int
	for k, c := range calls {
		if c.key == batch.ChunkQueue {
			send = k
		}
	}
	before, after := calls[:send], calls[send+1:]
	part := len(before)
	for k, c := range before {
		if c.method == "PutPart" {
			part = k
		}
	}
	closes := func() {
		s.do(i, j, n, after, then, func() { s.close(i, j, n, then) })
	}
	staged := func() {
		s.do(i, j, n, before[part:], then, func() {
			if next := n + j.window; next < j.chunks {
				s.sendChunk(i, j, next, then, closes)
				return
			}
			closes()
		})
	}
	s.do(i, j, n, before[:part], then, func() {
		if part == len(before) {
			staged()
			return
		}
		rows := j.bytes / s.program.rowBytes
		s.work(i, time.Duration(rows*float64(s.machine.cpu)), func() {
			j.scored[n]++
			staged()
		})
	})
}

// close closes the chunk's group, and all of them, where it filled them.
func (s *sim) close(i *instance, j *simJob, n int, then func(bool)) {
	g := n / fanout
	if j.inGroup[g] < j.groupSize(g) {
		then(true)
		return
	}
	root := func() {
		for g := range j.isFull {
			if !j.isFull[g] && j.chunks > fanout {
				then(true)
				return
			}
		}
		s.do(i, j, n, s.program.root, then, func() {
			s.send(batch.JobQueue, &simMessage{job: j, step: "commit"}, 0)
			then(true)
		})
	}
	if j.chunks <= fanout {
		root()
		return
	}
	s.do(i, j, n, s.program.group, then, root)
}

// commit asks all groups, and commits.
func (s *sim) commit(i *instance, j *simJob, then func(bool)) {
	if j.finished > 0 {
		then(true)
		return
	}
	if j.ran == 0 {
		j.ran = s.now
	}
	query := call{port: toTable, method: "Query", key: "{job}.{group}"}
	var round func(g int)
	round = func(g int) {
		if g >= len(j.inGroup) {
			s.do(i, j, 0, s.program.commit[s.program.before:], then, func() {
				if j.finished == 0 {
					j.finished = s.now
				}
				then(true)
			})
			return
		}
		left, failed := min(queriesAtOnce, len(j.inGroup)-g), false
		for k := range left {
			s.do(i, j, (g+k)*fanout, []call{query}, func(bool) {
				if !failed {
					failed = true
					then(false)
				}
			}, func() {
				if left--; left == 0 && !failed {
					round(g + queriesAtOnce)
				}
			})
		}
	}
	s.do(i, j, 0, s.program.commit[:s.program.before], then, func() { round(0) })
}
