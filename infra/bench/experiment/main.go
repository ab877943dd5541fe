//go:build linux

// Command experiment measures a whole experiment on a large table beside the
// same steps in pandas and XGBoost: read, clean, normalise, split, train 100
// trees, score, evaluate. It prints a line for each node, the sum, the quality
// of both models and the peak memory of both processes. Ours is what a run of
// the program does: every node's result is stored.
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

//go:embed rival.py
var rivalScript []byte

//go:embed experiment.json
var document []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	rows := flag.Int("rows", 1_000_000, "rows of the table")
	python := flag.String("python", "", "a Python with pandas, numpy and xgboost; without one ours is measured alone")
	threads := flag.Int("threads", 2, "of both")
	profile := flag.String("cpuprofile", "", "write a processor profile of our run here")
	flag.Parse()
	runtime.GOMAXPROCS(*threads)
	if err := measure(ctx, *rows, *python, *threads, *profile, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "experiment:", err)
		os.Exit(1)
	}
}

// outcome is what one side took and got.
type outcome struct {
	Steps    map[string]float64 `json:"steps"` // seconds
	AUC      float64            `json:"auc"`
	Loss     float64            `json:"loss"`
	Accuracy float64            `json:"accuracy"`
	MB       float64            `json:"mb"`
}

func measure(ctx context.Context, rows int, python string, threads int, profile string, out io.Writer) error {
	dir, err := os.MkdirTemp("", "experiment")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	table := filepath.Join(dir, "table.csv")
	if err := generate(table, rows); err != nil {
		return err
	}
	ours, err := own(ctx, dir, table, profile)
	if err != nil {
		return err
	}
	var theirs *outcome
	if python != "" {
		if theirs, err = rival(ctx, dir, table, python, threads); err != nil {
			return err
		}
	}
	report(out, rows, threads, ours, theirs)
	return nil
}

// columns of the table, the label aside.
const columns = 19

// generate writes a table of numbers, a hundredth of them missing, and a label
// that depends on some of them.
func generate(path string, rows int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	rnd := rand.New(rand.NewPCG(20, 1))
	for c := range columns {
		fmt.Fprintf(w, "x%d,", c+1)
	}
	fmt.Fprintln(w, "y")
	var buf []byte
	for range rows {
		var x [columns]float64
		buf = buf[:0]
		for c := range x {
			x[c] = math.Round(1e4*rnd.NormFloat64()*float64(c+1)) / 1e4
			if rnd.IntN(100) > 0 {
				buf = strconv.AppendFloat(buf, x[c], 'g', -1, 64)
			}
			buf = append(buf, ',')
		}
		z := x[0] + x[1]/2 - x[2]/3 + x[3]*x[4]/20 + 2*math.Sin(x[5]/3) - 1
		y := byte('0')
		if rnd.Float64() < 1/(1+math.Exp(-z)) {
			y = '1'
		}
		w.Write(append(buf, y, '\n'))
	}
	return errors.Join(w.Flush(), f.Close())
}

// own runs the experiment as the program would, on an embedded store.
func own(ctx context.Context, dir, table, profile string) (*outcome, error) {
	db, err := sqlite.Open(filepath.Join(dir, "store"), sqlite.Options{})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	ring, err := auth.NewRing("BENCH", auth.MasterKey{Name: "k1", Key: bytes.Repeat([]byte{1, 2}, 32)})
	if err != nil {
		return nil, err
	}
	by := auth.Identity{Issuer: "bench", Subject: "bench", Name: "bench"}
	cat := catalog.New(db.Tables, artifact.New(db.Blobs), ring)
	ws := service.NewID()
	if _, err := cat.CreateWorkspace(ctx, catalog.NewWorkspace{ID: ws, Name: "bench"}, by); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(table)
	if err != nil {
		return nil, err
	}
	if _, err := cat.SaveDataset(ctx, ws, catalog.NewDataset{Name: "table", Content: content, Format: "csv"}, by); err != nil {
		return nil, err
	}
	content = nil
	x, err := cat.CreateExperiment(ctx, ws, "bench", "", document, by)
	if err != nil {
		return nil, err
	}
	r := runs.New(runs.Config{Store: &db.Store, Catalog: cat, Limits: runs.Limits{Slice: time.Hour}, Log: slog.New(slog.DiscardHandler)})
	run, err := r.Start(ctx, ws, x.ID, "bench")
	if err != nil {
		return nil, err
	}
	// What comes before is not the run's: its memory is counted from here.
	runtime.GC()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return nil, err
	}
	stop, err := profiled(profile)
	if err != nil {
		return nil, err
	}
	err = r.Execute(ctx, runs.Message{Workspace: ws, Run: run.ID})
	if err = errors.Join(err, stop()); err != nil {
		return nil, err
	}
	if run, err = r.Get(ctx, ws, run.ID); err != nil {
		return nil, err
	}
	if run.State != runs.Finished {
		return nil, fmt.Errorf("the run is %s: %+v", run.State, run.Error)
	}
	o := &outcome{Steps: make(map[string]float64), MB: peak()}
	// A node is at work until the next one is; what it gave is stored beside that.
	for i, n := range run.Nodes {
		end := run.Ended
		if i+1 < len(run.Nodes) {
			end = run.Nodes[i+1].Started
		}
		o.Steps[n.ID] = end.Sub(n.Started).Seconds()
	}
	o.Steps["train"] += o.Steps["learner"]
	p, err := r.Preview(ctx, ws, run.ID, "evaluate", "", runs.Look{Rows: 1})
	if err != nil {
		return nil, err
	}
	for name, to := range map[string]*float64{"AUC": &o.AUC, "Average Log Loss": &o.Loss, "Accuracy": &o.Accuracy} {
		if i := p.Columns.Index(name); i >= 0 && p.Values[0][i] != nil {
			if *to, err = strconv.ParseFloat(*p.Values[0][i], 64); err != nil {
				return nil, err
			}
		}
	}
	return o, nil
}

// profiled writes a processor profile to a file, until stop; to none where path
// is empty.
func profiled(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	to, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(to); err != nil {
		return nil, errors.Join(err, to.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return to.Close()
	}, nil
}

// peak is the most memory that this process has held, in MB.
func peak() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return math.NaN()
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		return math.NaN()
	}
	return kb / 1024
}

func rival(ctx context.Context, dir, table, python string, threads int) (*outcome, error) {
	script := filepath.Join(dir, "rival.py")
	if err := os.WriteFile(script, rivalScript, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, python, script, table, strconv.Itoa(threads))
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "OMP_WAIT_POLICY=PASSIVE") // threads that spin while they wait take each other's time on a busy machine
	text, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var o outcome
	return &o, json.Unmarshal(text, &o)
}

func report(out io.Writer, rows, threads int, ours, theirs *outcome) {
	fmt.Fprintf(out, "%d rows of %d columns, %d threads; seconds\n\n", rows, columns+1, threads)
	var a, b float64
	line := func(name string, x, y float64) {
		if theirs == nil {
			fmt.Fprintf(out, "%-10s %8.2f\n", name, x)
			return
		}
		fmt.Fprintf(out, "%-10s %8.2f %8.2f  %5.2f ×\n", name, x, y, x/y)
	}
	get := func(o *outcome, name string) float64 {
		if o == nil {
			return 0
		}
		return o.Steps[name]
	}
	for _, name := range []string{"data", "clean", "scaled", "split", "train", "score", "evaluate"} {
		x, y := get(ours, name), get(theirs, name)
		a, b = a+x, b+y
		line(name, x, y)
	}
	line("all", a, b)
	fmt.Fprintf(out, "\nours      AUC %.4f, log loss %.4f, accuracy %.4f, at most %.0f MB\n", ours.AUC, ours.Loss, ours.Accuracy, ours.MB)
	if theirs != nil {
		fmt.Fprintf(out, "XGBoost   AUC %.4f, log loss %.4f, accuracy %.4f, at most %.0f MB\n", theirs.AUC, theirs.Loss, theirs.Accuracy, theirs.MB)
	}
}
