//go:build unix

// Command learn measures boosted trees beside XGBoost's hist: the same data
// and parameters, in one run, two threads each, the rounds of both taking
// turns. It prints seconds from the rows in memory to the model, binning
// included, the log loss of both on rows held out, and their ratio.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/boost"
	"github.com/portico-ml/portico/shared/model/trees"
)

//go:embed rival.py
var rivalScript []byte

const xgboostVersion = "3.2.0"

type bench struct {
	cache, python                         string
	rows, held, columns, trees, leaves, n int
	threads                               int
	rate                                  float64
	ours                                  bool
	growth                                string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var b bench
	flag.StringVar(&b.cache, "cache", "", "folder of the Python environment and the data (default: the user's cache)")
	flag.StringVar(&b.python, "python", "", "a Python that has xgboost and numpy, instead of an environment of our own")
	flag.IntVar(&b.rows, "rows", 80_000, "rows to learn from")
	flag.IntVar(&b.held, "held", 20_000, "rows to measure the log loss on")
	flag.IntVar(&b.columns, "columns", 100, "features")
	flag.IntVar(&b.trees, "trees", 100, "trees")
	flag.IntVar(&b.leaves, "leaves", 64, "leaves of a tree; XGBoost's depth is the logarithm")
	flag.Float64Var(&b.rate, "rate", 0.1, "learning rate")
	flag.IntVar(&b.threads, "threads", 2, "threads of each")
	flag.IntVar(&b.n, "rounds", 5, "rounds of each figure")
	flag.StringVar(&b.growth, "growth", "depthwise", "how XGBoost grows a tree: depthwise, its default, or lossguide, as ours does")
	flag.BoolVar(&b.ours, "ours", false, "ours alone, without Python")
	flag.Parse()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-learn:", err)
		os.Exit(1)
	}
}

// result is one training.
type result struct{ Wall, CPU, Loss float64 }

func (b *bench) run(ctx context.Context) error {
	x, y := b.data()
	var r *rival
	if !b.ours {
		var err error
		if r, err = b.start(ctx, x, y); err != nil {
			return err
		}
		defer r.stop()
	}
	fmt.Printf("%s/%s, %d CPUs, %s; XGBoost %s hist, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), xgboostVersion, b.growth)
	fmt.Printf("%d rows × %d features, %d trees of %d leaves, rate %v, %d threads\n", b.rows, b.columns, b.trees, b.leaves, b.rate, b.threads)
	fmt.Printf("%8s %10s %10s %10s %10s %10s %10s\n", "", "ours s", "rival s", "ours cpu", "rival cpu", "ours loss", "rival loss")
	var ours, rivals []result
	for i := range b.n {
		own, err := b.train(ctx, x, y)
		if err != nil {
			return err
		}
		ours = append(ours, own)
		var other result
		if r != nil {
			if other, err = r.train(); err != nil {
				return err
			}
			rivals = append(rivals, other)
		}
		fmt.Printf("%8d %10.2f %10.2f %10.2f %10.2f %10.5f %10.5f\n", i+1, own.Wall, other.Wall, own.CPU, other.CPU, own.Loss, other.Loss)
	}
	if r != nil {
		wall, cpu := func(r result) float64 { return r.Wall }, func(r result) float64 { return r.CPU }
		fmt.Printf("medians: ours takes %.2f × the time of XGBoost, %.2f × its processor time\n",
			median(ours, wall)/median(rivals, wall), median(ours, cpu)/median(rivals, cpu))
	}
	return nil
}

func median(r []result, of func(result) float64) float64 {
	var v []float64
	for _, one := range r {
		v = append(v, of(one))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// data makes numbers of which a third decide the label, by sums, products and
// steps, with noise. They are of float32, which is what XGBoost reads.
func (b *bench) data() (x [][]float64, y []float64) {
	random := rand.New(rand.NewPCG(1, 2))
	n := b.rows + b.held
	x = make([][]float64, b.columns)
	for f := range x {
		x[f] = make([]float64, n)
		for r := range x[f] {
			x[f][r] = float64(float32(random.NormFloat64()))
		}
	}
	y = make([]float64, n)
	for r := range y {
		s := 0.0
		for f := 0; f+2 < b.columns; f += 3 {
			switch f % 9 {
			case 0:
				s += 0.5 * x[f][r]
			case 3:
				s += 0.5 * x[f][r] * x[f+1][r]
			default:
				if x[f][r] > 0.5 {
					s += 0.8
				} else {
					s -= 0.3
				}
			}
		}
		if random.Float64() < 1/(1+math.Exp(-s)) {
			y[r] = 1
		}
	}
	return x, y
}

// train trains ours and measures its log loss by the model that it made.
func (b *bench) train(ctx context.Context, x [][]float64, y []float64) (result, error) {
	d := &learn.Data{Rows: b.rows, X: make([][]float64, b.columns), Levels: make([]int, b.columns), Label: y[:b.rows], Classes: 2}
	for f := range x {
		d.X[f] = x[f][:b.rows]
	}
	s := learn.NewSession()
	s.Workers = b.threads
	l, err := boost.TwoClass(boost.Options{Leaves: b.leaves, MinLeaf: 1, Rate: b.rate, Rounds: b.trees})
	if err != nil {
		return result{}, err
	}
	runtime.GC()
	wall, cpu := time.Now(), processor()
	t, err := l.Train(ctx, d, s)
	if err != nil {
		return result{}, err
	}
	out := result{Wall: time.Since(wall).Seconds(), CPU: processor() - cpu}
	e, err := trees.Open(t.Body)
	if err != nil {
		return result{}, err
	}
	session := e.NewSession(1)
	row, sum := make([]float64, b.columns), make([]float64, 1)
	for r := b.rows; r < b.rows+b.held; r++ {
		for f := range x {
			row[f] = x[f][r]
		}
		session.Predict(row, 1, sum)
		if y[r] == 1 {
			sum[0] = -sum[0]
		}
		out.Loss += math.Log1p(math.Exp(sum[0])) / float64(b.held)
	}
	return out, nil
}

func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// rival is the Python process.
type rival struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func (b *bench) start(ctx context.Context, x [][]float64, y []float64) (*rival, error) {
	if b.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		b.cache = filepath.Join(dir, "portico-bench")
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return nil, err
	}
	if b.python == "" {
		if err := b.environment(ctx); err != nil {
			return nil, err
		}
	}
	script, data := filepath.Join(b.cache, "learn.py"), filepath.Join(b.cache, "learn.f32")
	if err := os.WriteFile(script, rivalScript, 0o644); err != nil {
		return nil, err
	}
	if err := writeData(data, append(slices.Clone(x), y)); err != nil {
		return nil, err
	}
	number := strconv.Itoa
	r := &rival{cmd: exec.CommandContext(ctx, b.python, script, data, number(b.rows), number(b.held), number(b.columns),
		number(b.trees), number(b.leaves), strconv.FormatFloat(b.rate, 'g', -1, 64), number(b.threads), b.growth)}
	r.cmd.Stderr = os.Stderr
	// Threads that wait must not spin: on a machine that does other work too,
	// XGBoost would take several times as long.
	r.cmd.Env = append(os.Environ(), "OMP_WAIT_POLICY=PASSIVE")
	var err error
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = bufio.NewReader(out)
	return r, r.cmd.Start()
}

// environment makes the Python environment at the first run.
func (b *bench) environment(ctx context.Context) error {
	folder := filepath.Join(b.cache, "venv-learn")
	b.python = filepath.Join(folder, "bin", "python")
	if exec.CommandContext(ctx, b.python, "-c", "import xgboost").Run() == nil {
		return nil
	}
	fmt.Fprintln(os.Stderr, "making the Python environment in", folder)
	for _, args := range [][]string{
		{"python3", "-m", "venv", folder},
		{b.python, "-m", "pip", "install", "-q", "numpy", "scipy"},
		// Without what it asks for: the GPU libraries are large.
		{b.python, "-m", "pip", "install", "-q", "--no-deps", "xgboost==" + xgboostVersion},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}

func writeData(path string, columns [][]float64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for _, c := range columns {
		var b []byte
		for _, v := range c {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

func (r *rival) train() (result, error) {
	if _, err := io.WriteString(r.in, "train\n"); err != nil {
		return result{}, err
	}
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		return result{}, fmt.Errorf("the rival is gone: %w", err)
	}
	var out result
	return out, json.Unmarshal(line, &out)
}

func (r *rival) stop() {
	r.in.Close()
	_ = r.cmd.Wait() // it has answered
}
