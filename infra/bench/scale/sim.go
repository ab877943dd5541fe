package main

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// machine is what the simulation takes an instance to be.
type machine struct {
	cores   float64 // it may be a part of one
	places  int     // chunks that it works on at once
	batch   int     // messages that the host fetches at a time
	refetch int     // it does when it has no more than so many
	cpu     time.Duration
	scan    time.Duration // to cut a row's worth of input into records
	latency time.Duration // of a call, beside what its bytes take
	stream  float64       // bytes a second of one request
	network float64       // bytes a second in each direction
	readers int           // requests that the planner reads the input by
	polling time.Duration // longest pause between two looks at an empty queue
	// shared says that all instances share the cores of the first.
	shared bool
}

// What the Azure driver and the host do when they are refused or find nothing.
const (
	retries     = 4 // of a request, see package storage/azure
	retryDelay  = 200 * time.Millisecond
	retryMax    = 10 * time.Second
	minPolling  = 100 * time.Millisecond
	placeWait   = 5 * time.Second // see package host/event, as the two below
	backoffMin  = 5 * time.Second
	backoffMax  = 10 * time.Minute
	hiddenAgain = 30 * time.Second // host.json: of a message whose run failed
)

// sim is a discrete-event simulation: events in the order of their times, and
// of two at once the one that was planned first.
type sim struct {
	machine
	account *account
	rnd     *rand.Rand
	now     time.Duration
	events  events
	seq     int

	program   *program
	instances []*instance
	queues    map[string]*simQueue

	busy, held area           // messages of chunks that are worked on, and that hosts have fetched
	calls      map[string]int // by what was called
	again      int            // messages that had to come again
}

// area is a number over time.
type area struct {
	n    float64
	sum  float64 // of n × seconds
	last time.Duration
}

func (a *area) add(now time.Duration, d float64) {
	a.sum += a.n * (now - a.last).Seconds()
	a.last, a.n = now, a.n+d
}

// until is the sum up to now.
func (a *area) until(now time.Duration) float64 { return a.sum + a.n*(now-a.last).Seconds() }

type simEvent struct {
	at  time.Duration
	seq int
	do  func()
}

type events []simEvent

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(v any)   { *e = append(*e, v.(simEvent)) }
func (e *events) Pop() any {
	old := *e
	v := old[len(old)-1]
	*e = old[:len(old)-1]
	return v
}

func (s *sim) after(d time.Duration, do func()) {
	s.seq++
	heap.Push(&s.events, simEvent{s.now + max(d, 0), s.seq, do})
}

// run goes on until done says so, nothing is left to happen, or the time is up.
func (s *sim) run(done func() bool, limit time.Duration) {
	for len(s.events) > 0 && !done() && s.now < limit {
		e := heap.Pop(&s.events).(simEvent)
		s.now = e.at
		e.do()
	}
}

// instance is a process with its network and its cores.
type instance struct {
	cores    *cores
	up, down time.Duration   // until when the network is taken
	segments map[string]bool // of plans, that it has read
	pollers  []*poller
}

// waiting is a message that waits for a place in a process.
type waiting struct{ start func() }

// cores do bursts of work, as many at once as there are cores.
type cores struct {
	n       float64
	running int
	queue   []func()
}

// work does a burst of processor time on an instance.
func (s *sim) work(i *instance, d time.Duration, then func()) {
	c := i.cores
	begin := func() {
		c.running++
		s.after(time.Duration(float64(d)/min(1, c.n)), func() {
			c.running--
			if len(c.queue) > 0 {
				next := c.queue[0]
				c.queue = c.queue[1:]
				next()
			}
			then()
		})
	}
	if float64(c.running) < max(1, c.n) {
		begin()
	} else {
		c.queue = append(c.queue, begin)
	}
}

// call sends a request until it is admitted or was refused too often.
func (s *sim) call(i *instance, r request, then func(ok bool)) { s.try(i, r, 1, then) }

func (s *sim) try(i *instance, r request, n int, then func(ok bool)) {
	if over := s.account.admit(s.now, r); over != "" {
		if n > retries {
			s.after(s.latency, func() { then(false) })
			return
		}
		pause := time.Duration(float64((int64(1)<<n-1)*int64(retryDelay)) * (0.8 + s.rnd.Float64()/2))
		s.after(s.latency+min(pause, retryMax), func() { s.try(i, r, n+1, then) })
		return
	}
	took := s.latency
	for _, way := range []struct {
		bytes float64
		taken *time.Duration
	}{{r.up, &i.up}, {r.down, &i.down}} {
		if way.bytes == 0 || s.stream == 0 {
			continue
		}
		begin := max(s.now, *way.taken)
		*way.taken = begin + seconds(way.bytes/s.network)
		took = max(took, s.latency+max(*way.taken-s.now, seconds(way.bytes/s.stream)))
	}
	s.after(took, func() { then(true) })
}

func seconds(v float64) time.Duration { return time.Duration(v * float64(time.Second)) }

// backoff is the delay of a message that is sent again for the n-th time.
func (s *sim) backoff(n int) time.Duration {
	d := backoffMax
	if n < 7 {
		d = min(backoffMax, backoffMin<<n)
	}
	half := time.Duration(s.rnd.Int64N(int64(d / 2)))
	if n == 0 {
		return d + half
	}
	return d/2 + half
}

// simQueue is a queue: first come, first served, but for what is delayed.
type simQueue struct{ ms []*simMessage }

type simMessage struct {
	job   *simJob
	step  string // "" for a chunk
	chunk int
	again int // how often it was sent again
}

func (s *sim) send(queue string, m *simMessage, delay time.Duration) {
	s.after(delay, func() { q := s.queues[queue]; q.ms = append(q.ms, m) })
}

// poller fetches the messages of a queue for an instance, as a Functions host
// does.
type poller struct {
	s     *sim
	i     *instance
	queue string
	limit int // messages that the process works on at once
	held  int
	busy  int
	wait  []*waiting
	pause time.Duration
	asks  bool // a request is on its way, or planned

	chunks bool // it is the queue of chunks
}

// count notes how many messages of chunks are held and worked on.
func (p *poller) count(held, busy int) {
	p.held += held
	p.busy += busy
	if p.chunks {
		p.s.held.add(p.s.now, float64(held))
		p.s.busy.add(p.s.now, float64(busy))
	}
}

func (p *poller) poll(delay time.Duration) {
	if p.asks {
		return
	}
	p.asks = true
	p.s.after(delay, p.fetch)
}

func (p *poller) fetch() {
	s, q := p.s, p.s.queues[p.queue]
	n := min(s.batch, len(q.ms))
	ms := q.ms[:n:n]
	q.ms = q.ms[n:]
	s.call(p.i, request{port: toQueue, key: p.queue, count: float64(max(n, 1)), down: float64(n) * messageBytes}, func(ok bool) {
		p.asks = false
		if !ok { // refused for good: they were never taken
			q.ms = append(ms, q.ms...)
			ms = nil
		}
		if len(ms) == 0 {
			p.poll(p.pause)
			p.pause = min(2*p.pause, s.polling)
			return
		}
		p.pause = minPolling
		for _, m := range ms {
			p.take(m)
		}
		if p.held <= s.refetch {
			p.poll(0)
		}
	})
}

const messageBytes = 500 // an envelope, and what the protocol puts around it

// take gives a message to the process: it waits for a place there, and is sent
// again when that takes too long.
func (p *poller) take(m *simMessage) {
	s := p.s
	p.count(1, 0)
	begin := func() {
		p.count(0, 1)
		s.handle(p.i, m, func(ok bool) {
			p.count(0, -1)
			p.next()
			p.end(m, ok)
		})
	}
	if p.busy < p.limit {
		begin()
		return
	}
	w := &waiting{start: begin}
	p.wait = append(p.wait, w)
	s.after(placeWait, func() {
		if w.start == nil {
			return
		}
		w.start = nil
		p.end(m, false)
	})
}

// next starts the message that has waited longest.
func (p *poller) next() {
	for len(p.wait) > 0 {
		w := p.wait[0]
		p.wait = p.wait[1:]
		if w.start != nil {
			start := w.start
			w.start = nil
			start()
			return
		}
	}
}

// end acknowledges a message. One that failed in passing is sent again first.
func (p *poller) end(m *simMessage, ok bool) {
	s := p.s
	leave := func() {
		p.count(-1, 0)
		if p.held <= s.refetch {
			p.poll(0)
		}
	}
	acknowledge := func() {
		s.call(p.i, request{port: toQueue, key: p.queue, count: 1}, func(ok bool) {
			if !ok { // it will be shown again
				s.again++
				s.send(p.queue, m, hiddenAgain)
			}
			leave()
		})
	}
	if ok {
		acknowledge()
		return
	}
	s.again++
	s.call(p.i, request{port: toQueue, key: p.queue, count: 1, up: messageBytes}, func(ok bool) {
		if !ok {
			s.send(p.queue, m, hiddenAgain)
			leave()
			return
		}
		copied := *m
		copied.again++
		s.send(p.queue, &copied, s.backoff(m.again))
		acknowledge()
	})
}
