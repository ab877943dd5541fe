//go:build unix

// Command engine measures the scoring engine beside the libraries that the
// models come from: the same model and rows, in one run, one thread, other
// rows in each call; ours from a row of a parsed frame to the printed score.
//
// It makes a Python environment, the models and a C driver in a cache folder
// at its first run, and prints nanoseconds of processor time for each row,
// medians of the rounds, and how many times faster ours is. The rounds of all
// take turns.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/model/trees"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var b bench
	flag.StringVar(&b.cache, "cache", "", "folder of the environment and the models (default: the user's cache)")
	flag.StringVar(&b.only, "models", "", "names of models, with commas; all without")
	flag.IntVar(&b.rounds, "rounds", 7, "rounds of each figure")
	flag.Parse()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-engine:", err)
		os.Exit(1)
	}
}

type bench struct {
	cache, only string
	rounds      int
}

// modelInfo is what models.py says of a model.
type modelInfo struct {
	Name, File, Title string
	Rows, Columns     int
	Rivals            map[string]string // library: its file
}

//go:embed rivals/models.py
var modelsScript []byte

//go:embed rivals/rival.py
var rivalScript []byte

//go:embed rivals/rival.c
var rivalSource []byte

// packages are what the rivals are, as pip names them. XGBoost goes without
// what it asks for: the GPU libraries are large, and the rest is here.
var (
	packages   = []string{"lightgbm==4.6.0", "onnxruntime==1.32.0", "onnx==1.23.2", "scikit-learn==1.9.1", "skl2onnx==1.20.0", "numpy==2.4.6", "pandas"}
	xgbPackage = []string{"--no-deps", "xgboost==3.2.0"}
)

func (b *bench) run(ctx context.Context) error {
	models, err := b.prepare(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s/%s, %d CPUs, %s; our path: %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), trees.Path())
	fmt.Printf("rivals: xgboost 3.2.0, lightgbm 4.6.0 and onnxruntime 1.32.0 from C, scikit-learn 1.9.1 from Python\n")
	for _, m := range models {
		if b.only != "" && !slices.Contains(strings.Split(b.only, ","), m.Name) {
			continue
		}
		if err := b.measure(ctx, &m); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	return nil
}

// prepare makes what is not yet in the cache folder.
func (b *bench) prepare(ctx context.Context) ([]modelInfo, error) {
	if b.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		b.cache = filepath.Join(dir, "portico-bench")
	}
	folder := filepath.Join(b.cache, "models")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	list := filepath.Join(folder, "models.json")
	if script, err := os.ReadFile(filepath.Join(b.cache, "models.py")); err != nil || !bytes.Equal(script, modelsScript) {
		if err := os.Remove(list); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err // models of another script would pass for this one's
		}
	}
	for name, text := range map[string][]byte{"models.py": modelsScript, "rival.py": rivalScript, "rival.c": rivalSource} {
		if err := os.WriteFile(filepath.Join(b.cache, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	python := b.python()
	if _, err := os.Stat(python); err != nil {
		fmt.Fprintln(os.Stderr, "making the Python environment in", b.cache)
		if err := command(ctx, "python3", "-m", "venv", filepath.Join(b.cache, "venv")); err != nil {
			return nil, err
		}
	}
	if command(ctx, python, "-c", "import xgboost, lightgbm, onnxruntime, sklearn, skl2onnx, pandas") != nil {
		for _, list := range [][]string{packages, xgbPackage} {
			if err := command(ctx, python, append([]string{"-m", "pip", "install", "-q"}, list...)...); err != nil {
				return nil, err
			}
		}
	}
	if err := command(ctx, "gcc", "-O2", "-o", filepath.Join(b.cache, "rival"), filepath.Join(b.cache, "rival.c"), "-ldl", "-lm"); err != nil {
		return nil, err
	}
	if _, err := os.Stat(list); err != nil {
		fmt.Fprintln(os.Stderr, "training the models")
		if err := command(ctx, python, filepath.Join(b.cache, "models.py"), folder); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	var models []modelInfo
	return models, json.Unmarshal(text, &models)
}

func (b *bench) python() string { return filepath.Join(b.cache, "venv", "bin", "python") }

func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// batches are the rows in a call.
var batches = []int{1, 100, 10_000}

// measure prints the figures of one model.
func (b *bench) measure(ctx context.Context, m *modelInfo) error {
	folder := filepath.Join(b.cache, "models")
	ours, err := newOurs(folder, m)
	if err != nil {
		return err
	}
	var names []string
	rivals := map[string]*rival{}
	for name, file := range m.Rivals {
		r, err := b.start(ctx, name, filepath.Join(folder, file), filepath.Join(folder, m.Name+".rows"), m.Columns)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer r.stop()
		if err := ours.agrees(r.answers); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		names, rivals[name] = append(names, name), r
	}
	slices.Sort(names)
	fmt.Printf("\n%s\n%8s %12s %10s", m.Title, "rows", "ours ns/row", "allocs/row")
	for _, name := range names {
		fmt.Printf(" %14s %7s", name, "ratio")
	}
	fmt.Println()
	for _, n := range batches {
		own := make([]float64, b.rounds)
		theirs := map[string][]float64{}
		allocs := 0.0
		for i := range own {
			var a float64
			if own[i], a, err = ours.time(n); err != nil {
				return err
			}
			allocs = max(allocs, a)
			for _, name := range names {
				ns, err := rivals[name].time(n)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				theirs[name] = append(theirs[name], ns)
			}
		}
		fmt.Printf("%8d %12.0f %10.4f", n, median(own), allocs)
		for _, name := range names {
			fmt.Printf(" %14.0f %6.1fx", median(theirs[name]), median(theirs[name])/median(own))
		}
		fmt.Println()
	}
	return nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
