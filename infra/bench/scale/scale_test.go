package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/batch"
)

func TestBucket(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name  string
		rate  float64
		takes []struct {
			at time.Duration
			n  float64
		}
		want string // y and n
		peak float64
	}{
		{"a second's worth at once", 3, []struct {
			at time.Duration
			n  float64
		}{{0, 1}, {0, 1}, {0, 1}, {0, 1}}, "yyyn", 3},
		{"as fast as it flows", 10, []struct {
			at time.Duration
			n  float64
		}{{0, 10}, {50 * ms, 1}, {100 * ms, 1}, {200 * ms, 1}, {210 * ms, 1}}, "ynyyn", 12},
		{"no more than a second's worth is kept", 2, []struct {
			at time.Duration
			n  float64
		}{{time.Hour, 2}, {time.Hour, 1}}, "yn", 2},
		{"more than a second's worth leaves a debt", 2, []struct {
			at time.Duration
			n  float64
		}{{0, 5}, {1400 * ms, 1}, {1600 * ms, 1}, {2 * time.Second, 1}}, "ynnn", 5},
		{"which is paid", 2, []struct {
			at time.Duration
			n  float64
		}{{0, 5}, {2 * time.Second, 1}}, "yy", 5},
	} {
		b := newBucket(tt.rate)
		got := ""
		for _, k := range tt.takes {
			if !b.holds(k.at, k.n) {
				got += "n"
				continue
			}
			b.take(k.at, k.n)
			got += "y"
		}
		if got != tt.want || b.peak != tt.peak {
			t.Errorf("%s: %s with a peak of %v, want %s and %v", tt.name, got, b.peak, tt.want, tt.peak)
		}
	}
}

// A request takes of every limit that it is under, or of none.
func TestAccount(t *testing.T) {
	l := limits{requests: 100, ingress: 1000, egress: 1000, blob: 2, partition: 10, tables: 3, queue: 4, queues: 5}
	a := newAccount(l)
	for _, tt := range []struct {
		r    request
		want string
	}{
		{request{port: toBlob, key: "a", up: 600}, ""},
		{request{port: toBlob, key: "b", up: 600}, limIngress},
		{request{port: toBlob, key: "b", down: 1000}, ""},
		{request{port: toBlob, key: "a", down: 1}, limEgress},
		{request{port: toBlob, key: "a"}, ""},
		{request{port: toBlob, key: "a"}, limBlob},
		{request{port: toBlob, key: "b"}, ""}, // what was refused took nothing of it
		{request{port: toTable, key: "p", count: 8}, ""},
		{request{port: toTable, key: "p", count: 3}, limPartition},
		{request{port: toTable, key: "q", count: 3}, ""},
		{request{port: toTable, key: "q", count: 1}, ""},
		{request{port: toTable, key: "r", count: 1}, limTables},
		{request{port: toQueue, key: "x", count: 4}, ""},
		{request{port: toQueue, key: "x", count: 1}, limQueue},
		{request{port: toQueue, key: "y", count: 2}, limQueues},
		{request{port: toQueue, key: "y", count: 1}, ""},
	} {
		if got := a.admit(0, tt.r); got != tt.want {
			t.Errorf("%+v: refused by %q, want %q", tt.r, got, tt.want)
		}
	}
	if got := a.shared[limRequests].all; got != 9 {
		t.Errorf("%v requests were counted, want 9", got)
	}
}

// fast is a folder in memory, where the machine has such.
func fast(t *testing.T) string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return t.TempDir()
}

func recordOnce(t *testing.T) (*recording, *program) {
	t.Helper()
	recorder.Lock()
	defer recorder.Unlock()
	if recorder.r == nil {
		r, err := recordIn(t.Context(), fast(t), recordedChunks, 2)
		if err != nil {
			t.Fatal(err)
		}
		recorder.r = r
	}
	p, err := newProgram(recorder.r)
	if err != nil {
		t.Fatal(err)
	}
	return recorder.r, p
}

var recorder struct {
	sync.Mutex
	r *recording
}

// ordinary is a machine of the cloud.
var ordinary = machine{
	cores: 1, places: 2, batch: 2, refetch: 2, readers: 4, cpu: 2750, scan: 55, latency: 10 * time.Millisecond, stream: 60e6, network: 250e6, polling: time.Second,
}

// What is simulated of a job calls storage as often as that job did, by each
// kind of call.
func TestSim_callsOfTheRecordedJob(t *testing.T) {
	r, p := recordOnce(t)
	want := map[string]int{}
	ended := false
	for _, m := range r.messages {
		for _, c := range m.calls {
			// What a planner reads is as much as the input is long; it asks for
			// chunks that were done before it died; and whoever ends lets the
			// next one in.
			planner := c.name() == "blob Get "+inputKey || has(m.calls, "Put") && strings.HasPrefix(c.key, "{job}.")
			if !ended && (m.queue == batch.ChunkQueue || !planner) {
				want[c.name()]++
			}
		}
		ended = ended || has(m.calls, "Commit")
	}
	j := newJob("j", recordedChunks*chunkRecorded, chunkRecorded, r.windows[0])
	if j.chunks != r.chunks {
		t.Fatalf("%d chunks, recorded were %d", j.chunks, r.chunks)
	}
	m := ordinary
	m.places, m.batch, m.refetch = 1, 1, 0 // as it was recorded
	s := newSim(m, everyRegion, p, 1, 1, j)
	s.run(func() bool { return j.finished > 0 }, time.Hour)
	got := s.calls
	got["blob Get "+inputKey] -= (recordedChunks*chunkRecorded + batch.ScanBytes - 1) / batch.ScanBytes
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("calls (-recorded +simulated):\n%s", d)
	}
}

// Whatever is refused, every chunk is done, and scored as often as it was
// scored; where nothing is refused nothing is done twice.
func TestSim_conservation(t *testing.T) {
	_, p := recordOnce(t)
	tight := limits{requests: 300, ingress: 200e6, egress: 200e6, blob: 30, partition: 150, tables: 200, queue: 60, queues: 100}
	for _, tt := range []struct {
		name   string
		m      func(*machine)
		limits limits
		n      int
		once   bool
	}{
		{"one instance", nil, everyRegion, 1, true},
		{"forty instances", nil, everyRegion, 40, true},
		{"storage that refuses", nil, tight, 40, false},
		{"hosts that fetch more than they can do", func(m *machine) { m.places, m.batch, m.refetch, m.cpu = 1, 16, 8, 20_000 }, everyRegion, 5, true},
	} {
		m := ordinary
		if tt.m != nil {
			tt.m(&m)
		}
		jobs := []*simJob{newJob("a", 300*8<<20, 8<<20, 64), newJob("b", 150*8<<20, 8<<20, 32)}
		s := newSim(m, tt.limits, p, tt.n, 7, jobs...)
		s.run(func() bool { return jobs[0].finished > 0 && jobs[1].finished > 0 }, 100*time.Hour)
		refused := 0
		for _, l := range allLimits {
			peak, n := s.account.load(l)
			refused += n
			// In a second goes what was kept, and what flowed.
			if peak > 2.5 {
				t.Errorf("%s: %s was used to %v", tt.name, l, peak)
			}
		}
		if (refused > 0) == tt.once {
			t.Errorf("%s: %d requests were refused", tt.name, refused)
		}
		parts := 0
		for _, j := range jobs {
			if j.finished == 0 || slices.Contains(j.done, false) || slices.Contains(j.isFull, false) {
				t.Errorf("%s: job %s is not done", tt.name, j.id)
			}
			for n, times := range j.scored {
				parts += times
				if times < 1 || tt.once && times > 1 {
					t.Errorf("%s: chunk %d of job %s was scored %d times", tt.name, n, j.id, times)
				}
			}
		}
		if got := s.calls["blob PutPart output"] - len(jobs); got != parts {
			t.Errorf("%s: %d parts were staged, %d chunks scored", tt.name, got, parts)
		}
		if again := s.again > 0; again != (tt.name != "one instance" && tt.name != "forty instances") {
			t.Errorf("%s: %d messages came again", tt.name, s.again)
		}
	}
}

// The ingress of an account is the most that can come of it, however many
// instances there are.
func TestSim_limit(t *testing.T) {
	r, p := recordOnce(t)
	o := options{machine: ordinary, rows: 2e7, chunk: 8 << 20, workspaces: 1, limits: everyRegion, seed: 1}
	o.limits.ingress = 100e6
	var before time.Duration
	for _, n := range []int{1, 4, 100} {
		res := simulate(r, p, o, n)
		written := o.rows * p.rowBytes * p.outRatio
		if rate := written / res.chunks.Seconds(); rate > 1.05*o.limits.ingress+o.limits.ingress/res.chunks.Seconds() {
			t.Errorf("%d instances wrote %.0f MB/s", n, rate/1e6)
		}
		// Waiting out refusals costs something, but not half as much again.
		if before > 0 && res.chunks > before*3/2 {
			t.Errorf("%d instances take %v, fewer took %v", n, res.chunks, before)
		}
		before = res.chunks
		if want := map[int]string{1: "instances", 100: limIngress}[n]; want != "" && res.bites != want {
			t.Errorf("%d instances: %s bites, want %s", n, res.bites, want)
		}
	}
}

// What keeps chunks from going faster has a name.
func TestOutcome_first(t *testing.T) {
	r, p := recordOnce(t)
	dear := options{machine: ordinary, rows: 2e7, chunk: 8 << 20, workspaces: 1, limits: largeRegions, seed: 1, window: 8}
	dear.cpu = 20_000
	greedy := dear
	greedy.batch, greedy.refetch, greedy.window = 16, 8, 64
	for _, tt := range []struct {
		o    options
		n    int
		want string
	}{{dear, 1, "instances"}, {dear, 50, "window"}, {greedy, 50, "fetched ahead"}} {
		if got := simulate(r, p, tt.o, tt.n).bites; got != tt.want {
			t.Errorf("window %d, %d instances, %d fetched: %q, want %q", tt.o.window, tt.n, tt.o.batch, got, tt.want)
		}
	}
}

// The same seed gives the same figures, another one others.
func TestReport_seed(t *testing.T) {
	r, p := recordOnce(t)
	o := options{machine: ordinary, rows: 2e7, chunk: 8 << 20, workspaces: 2, instances: []int{20, 200}, limits: everyRegion}
	figures := func(seed uint64) string {
		var out bytes.Buffer
		o.seed = seed
		report(&out, r, p, o)
		return out.String()
	}
	a := figures(1)
	if b := figures(1); a != b {
		t.Errorf("one seed, two results:\n%s%s", a, b)
	}
	if a == figures(2) {
		t.Error("the seed changes nothing")
	}
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	args := []string{"-rows", "2e6", "-instances", "2", "-host", "../../../host.json", "-temp", fast(t)}
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"blob PutPart output", "256 messages out", "\n2 ", "ingress"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for _, args := range [][]string{{"-instances", "0"}, {"-host", "nowhere.json"}} {
		if err := run(t.Context(), args, &out); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
