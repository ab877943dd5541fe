//go:build linux

// Command batch measures a BES job on a large table: the churn columns, scored
// by 100 boosted trees, all columns echoed. The staged handler runs it under
// the local host on the embedded store, in one process and in several on the
// same queues. It is timed from the answer of start to Finished; the output is
// read back, its rows are counted, its ids compared in order, and a sample of
// its rows compared with what RRS answers.
//
// It prints rows and bytes a second, processor time a row, the most memory that
// a handler held, and what each stage of the work costs by itself. With a Python
// that has pandas and xgboost it does the same there, on the same file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/infra/samples"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := bench{out: os.Stdout}
	flag.StringVar(&b.dist, "dist", "dist", "staged script root: make stage")
	flag.IntVar(&b.rows, "rows", 5_000_000, "rows of the table")
	flag.IntVar(&b.cores, "cores", 2, "cores of each handler, and of the rival")
	flag.IntVar(&b.samples, "samples", 500, "rows to compare with RRS")
	handlers := flag.String("handlers", "1,2,4", "numbers of handler processes to measure")
	flag.StringVar(&b.python, "rival", "", "a Python with pandas and xgboost; without one ours is measured alone")
	flag.StringVar(&b.profile, "cpuprofile", "", "file for a profile of the stages")
	flag.StringVar(&b.temp, "temp", "", "folder for the files, four times the size of the table (default: the system's)")
	flag.Parse()
	if err := b.run(ctx, *handlers); err != nil {
		fmt.Fprintln(os.Stderr, "batch:", err)
		os.Exit(1)
	}
}

type bench struct {
	out                  io.Writer
	dist, python, temp   string
	profile              string
	rows, cores, samples int

	dir   string // everything that is made
	store *sqlite.Store
	hosts []*host
	model samples.Production
	table *table
	bytes int64 // of the table
}

func (b *bench) run(ctx context.Context, handlers string) error {
	var counts []int
	for _, text := range strings.Split(handlers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || len(counts) > 0 && n <= counts[len(counts)-1] {
			return fmt.Errorf("-handlers %q: ascending numbers separated by commas are needed", handlers)
		}
		counts = append(counts, n)
	}
	var err error
	if b.dir, err = os.MkdirTemp(b.temp, "portico-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.path("local"), "./infra/local").CombinedOutput(); err != nil {
		return fmt.Errorf("build infra/local: %w\n%s", err, out)
	}
	defer b.stopHosts()
	if err := b.startHosts(ctx, 1); err != nil {
		return err
	}
	if b.model, err = samples.Trees(ctx, b.hosts[0].base, b.token, io.Discard); err != nil {
		return fmt.Errorf("publish the churn model: %w", err)
	}
	if b.store, err = sqlite.Open(b.path("data", "store"), sqlite.Options{}); err != nil {
		return err
	}
	defer b.store.Close()
	input, err := b.generate(ctx)
	if err != nil {
		return fmt.Errorf("generate the table: %w", err)
	}
	fmt.Fprintf(b.out, "%d rows of %d columns, %.0f MB; %d cores; %s\n\n", b.rows, len(b.table.header), float64(b.bytes)/1e6, b.cores, loadavg())
	fmt.Fprintf(b.out, "%-24s %10s %8s %12s %12s\n", "", "rows/s", "MB/s", "CPU µs/row", "peak MB")
	var first measured
	for i, n := range counts {
		if err := b.startHosts(ctx, n); err != nil {
			return err
		}
		m, err := b.job(ctx, input)
		if err != nil {
			return fmt.Errorf("%d handlers: %w", n, err)
		}
		if i == 0 {
			first = m
		}
		fmt.Fprintf(b.out, "%-24s %10.0f %8.0f %12.2f %12.0f\n", fmt.Sprintf("%d handler(s)", n),
			float64(b.rows)/m.took.Seconds(), float64(b.bytes)/1e6/m.took.Seconds(), us(m.cpu)/float64(b.rows), m.peakMB)
	}
	b.stopHosts()
	if err := b.stages(ctx, first); err != nil {
		return fmt.Errorf("stages: %w", err)
	}
	if b.python == "" {
		return nil
	}
	return b.rival(ctx, first)
}

func (b *bench) path(parts ...string) string {
	return filepath.Join(append([]string{b.dir}, parts...)...)
}

func us(d time.Duration) float64 { return float64(d) / 1e3 }

// loadavg says what else the machine does.
func loadavg() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load unknown"
	}
	return "load of the machine " + strings.Join(strings.Fields(string(text))[:3], " ")
}

// measured is what a job took.
type measured struct {
	took   time.Duration
	cpu    time.Duration // of all handlers
	peakMB float64       // of the largest handler
}

// job runs a job over the table and checks its output.
func (b *bench) job(ctx context.Context, input link) (m measured, err error) {
	caller := client{b.hosts[0].base, b.model.Key}
	jobs := "/workspaces/" + b.model.Workspace + "/services/" + b.model.Endpoint + "/jobs"
	body := map[string]any{"Inputs": map[string]any{"input1": input}, "GlobalParameters": map[string]string{}}
	var id string
	if err := caller.do(ctx, "POST", jobs+"?api-version=2.0", body, &id); err != nil {
		return m, err
	}
	var before time.Duration
	for _, h := range b.hosts {
		if err := h.resetPeak(); err != nil {
			return m, err
		}
		before += h.cpu()
	}
	if err := caller.do(ctx, "POST", jobs+"/"+id+"/start?api-version=2.0", nil, nil); err != nil {
		return m, err
	}
	began := time.Now()
	var st struct {
		StatusCode string
		Details    *string
		Results    map[string]link
	}
	for st.StatusCode != "Finished" {
		select {
		case <-ctx.Done():
			return m, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if err := caller.do(ctx, "GET", jobs+"/"+id+"?api-version=2.0", nil, &st); err != nil {
			return m, err
		}
		if st.StatusCode == "Failed" || st.StatusCode == "Cancelled" {
			details := ""
			if st.Details != nil {
				details = *st.Details
			}
			return m, errors.New("the job is " + st.StatusCode + ": " + details)
		}
	}
	m.took, m.cpu = time.Since(began), -before
	for _, h := range b.hosts {
		m.cpu += h.cpu()
		m.peakMB = max(m.peakMB, h.peakMB())
	}
	if err := b.check(ctx, caller, st.Results["output1"]); err != nil {
		return m, fmt.Errorf("the output: %w", err)
	}
	return m, caller.do(ctx, "DELETE", jobs+"/"+id+"?api-version=2.0", nil, nil)
}
