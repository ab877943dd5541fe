// Command scale says what stops a batch job from getting faster as instances are
// added. It runs a real job on the embedded store and notes each call that
// package batch makes for each message; then it simulates up to a thousand
// instances that make these calls against the limits which Azure Storage
// publishes, with the driver's and the queues' own back-off when they are
// refused. The same seed gives the same figures.
//
// It prints, by number of instances, rows a second, how long the job takes, how
// far each limit is used in its busiest second, and what bites first. With
// -check it simulates this machine instead: the handlers that bench-batch
// measures.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/batch"
)

// options are what is simulated.
type options struct {
	machine
	rows       float64
	chunk      float64 // bytes
	window     int     // 0: as package batch gave it
	workspaces int
	instances  []int
	limits     limits
	seed       uint64
	check      bool
	temp       string
}

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o := options{}
	f := flag.NewFlagSet("scale", flag.ContinueOnError)
	f.Float64Var(&o.rows, "rows", 1e9, "rows of the job, or of all jobs together")
	f.IntVar(&o.workspaces, "workspaces", 1, "how many workspaces have a job, all at once")
	instances := f.String("instances", "1,10,100,300,1000", "numbers of instances")
	f.DurationVar(&o.cpu, "cpu", 1580*time.Nanosecond, "processor time of a row: bench-batch measures it")
	f.DurationVar(&o.machine.scan, "split", 55*time.Nanosecond, "of that, what it takes to find where a row ends")
	f.Float64Var(&o.cores, "cores", 1, "cores of an instance")
	f.IntVar(&o.places, "places", batch.ChunkPlaces(1), "chunks that an instance works on at once")
	f.DurationVar(&o.latency, "latency", 10*time.Millisecond, "of a call")
	stream := f.Float64("stream", 60, "MB/s of one request")
	network := f.Float64("network", 250, "MB/s of an instance, each way")
	f.DurationVar(&o.polling, "polling", 2*time.Second, "longest pause between two looks at an empty queue")
	f.IntVar(&o.readers, "readers", batch.ScanReads, "requests by which the planner reads at once")
	chunk := f.Float64("chunk", 8, "MiB of a chunk")
	f.IntVar(&o.window, "window", 0, "messages that a job has out; 0: as package batch gives it")
	large := f.Bool("large", false, "limits of the large regions")
	host := f.String("host", "host.json", "file that says how hosts fetch messages")
	f.Uint64Var(&o.seed, "seed", 1, "of what happens by chance")
	f.BoolVar(&o.check, "check", false, "simulate handlers on this machine; -cores, -cpu, -rows, -instances as bench-batch had them")
	f.StringVar(&o.temp, "temp", "", "folder for the recorded job (default: the system's)")
	if err := f.Parse(args); err != nil {
		return err
	}
	o.stream, o.network, o.chunk = *stream*1e6, *network*1e6, *chunk*(1<<20)
	o.limits = everyRegion
	if *large {
		o.limits = largeRegions
	}
	for _, text := range strings.Split(*instances, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-instances %q: numbers from 1 separated by commas are needed", *instances)
		}
		o.instances = append(o.instances, n)
	}
	var err error
	if o.batch, o.refetch, err = fetching(*host); err != nil {
		return err
	}
	r, err := recordIn(ctx, o.temp, recordedChunks, o.workspaces)
	if err != nil {
		return fmt.Errorf("the recorded job: %w", err)
	}
	p, err := newProgram(r)
	if err != nil {
		return err
	}
	if o.check {
		o.local(r)
	} else {
		describe(out, r, p, o)
	}
	report(out, r, p, o)
	return nil
}

// recordedChunks are more than the window, and fill groups of done rows.
const recordedChunks = 330

// fetching reads from a host.json how many messages a host fetches at once, and
// with how few left it does.
func fetching(file string) (batch, refetch int, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	var host struct {
		Extensions struct {
			Queues struct{ BatchSize, NewBatchThreshold int }
		}
	}
	if err := json.Unmarshal(text, &host); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", file, err)
	}
	q := host.Extensions.Queues
	return cmp.Or(q.BatchSize, 16), q.NewBatchThreshold, nil
}

// local turns what is simulated into handlers that share this machine: no
// network, no limits, and calls that take what they took when the job was
// recorded.
func (o *options) local(r *recording) {
	var took []time.Duration
	for _, m := range r.messages {
		for _, c := range m.calls {
			if m.queue == batch.ChunkQueue && c.port != toBlob {
				took = append(took, c.took)
			}
		}
	}
	slices.Sort(took)
	o.shared, o.stream, o.latency, o.limits = true, 0, took[len(took)/2], limits{cannotBeExceeded: true}
	o.places, o.polling = batch.ChunkPlaces(int(o.cores)), 200*time.Millisecond
}

// describe prints what messages cost storage.
func describe(out io.Writer, r *recording, p *program, o options) {
	scale := o.chunk / chunkRecorded
	fmt.Fprintf(out, "what a chunk of %.0f MiB (%.0f rows) asks of storage, beside its message's own fetching and deletion:\n", o.chunk/(1<<20), o.chunk/p.rowBytes)
	for _, c := range p.chunk {
		what := ""
		switch {
		case c.method == "Query":
			what = "1 to 64 rows"
		case c.down > chunkRecorded/4:
			what = fmt.Sprintf("%.1f MB out of storage", float64(c.down)*scale/1e6)
		case c.up > chunkRecorded/4:
			what = fmt.Sprintf("%.1f MB into it", float64(c.up)*scale/1e6)
		}
		fmt.Fprintf(out, "  %-40s %s\n", c.name(), what)
	}
	fmt.Fprintf(out, "of a job: %d messages out, %d calls to plan it and %d to commit it beside those that grow with it\n\n", r.windows[0], len(p.plan), len(p.commit))
}

// outcome is a simulated run.
type outcome struct {
	instances    int
	took         time.Duration // all
	plan, chunks time.Duration // of the job that was last
	busy, held   float64       // mean numbers of messages while there were chunks
	again        int
	bites        string
	sim          *sim
}

// simulate runs the jobs on n instances.
func simulate(r *recording, p *program, o options, n int) outcome {
	bytes := o.rows * p.rowBytes / float64(o.workspaces)
	var jobs []*simJob
	for k := range o.workspaces {
		window := r.windows[k]
		if o.window > 0 {
			window = o.window
		}
		jobs = append(jobs, newJob("j"+strconv.Itoa(k), bytes, o.chunk, window))
	}
	s := newSim(o.machine, o.limits, p, n, o.seed, jobs...)
	const longest = 100 * time.Hour
	s.run(func() bool {
		return !slices.ContainsFunc(jobs, func(j *simJob) bool { return j.finished == 0 })
	}, longest)
	res := outcome{instances: n, again: s.again, sim: s}
	first, last := longest, time.Duration(0)
	for _, j := range jobs {
		first, last = min(first, j.planned), max(last, j.ran)
		res.took, res.plan = max(res.took, j.finished), max(res.plan, j.planned)
	}
	res.chunks = last - first
	res.busy, res.held = s.busy.until(s.now)/res.chunks.Seconds(), s.held.until(s.now)/res.chunks.Seconds()
	res.bites = res.first(o.places)
	return res
}

// first is what keeps the chunks from going faster.
func (r *outcome) first(places int) string {
	most, name := 0, ""
	for _, l := range allLimits {
		if _, refused := r.sim.account.load(l); refused > most {
			most, name = refused, l
		}
	}
	idle := float64(r.instances*places) - r.busy
	switch {
	case name != "":
		return name
	case idle < 0.15*float64(r.instances*places):
		return "instances"
	case r.held-r.busy > r.busy/4, r.again > 0: // they come again where they waited for a place too long
		return "fetched ahead"
	}
	return "window"
}

// report prints a line for each number of instances.
func report(out io.Writer, r *recording, p *program, o options) {
	fmt.Fprintf(out, "%-10s %12s %10s %10s %10s %6s", "instances", "rows/s", "all", "plan", "chunks", "busy")
	if !o.limits.cannotBeExceeded {
		for _, l := range allLimits {
			fmt.Fprintf(out, " %*s", len(l), l)
		}
		fmt.Fprintf(out, " %8s %6s  %s", "refused", "again", "bites")
	}
	fmt.Fprintln(out)
	for _, n := range o.instances {
		res := simulate(r, p, o, n)
		round := func(d time.Duration) time.Duration {
			if d > time.Minute {
				return d.Round(time.Second)
			}
			return d.Round(10 * time.Millisecond)
		}
		fmt.Fprintf(out, "%-10d %12.0f %10s %10s %10s %6.0f", n, o.rows/res.took.Seconds(), round(res.took), round(res.plan), round(res.chunks), res.busy)
		if !o.limits.cannotBeExceeded {
			refused := 0
			for _, l := range allLimits {
				peak, no := res.sim.account.load(l)
				fmt.Fprintf(out, " %*s", len(l), percent(peak))
				refused += no
			}
			fmt.Fprintf(out, " %8d %6d  %s", refused, res.again, res.bites)
		}
		fmt.Fprintln(out)
	}
}
