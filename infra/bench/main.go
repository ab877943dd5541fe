// Command bench measures what a caller and an operator would: how fast the
// handler starts, and what an RRS call costs beside a bare net/http handler
// that answers the same requests in the same run.
//
// It prints ratios, for the machine is whatever it is. Each figure is the
// median of its rounds, and ours and the baseline's rounds alternate.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/portico-ml/portico/infra/bench/load"
	"github.com/portico-ml/portico/infra/samples"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := bench{}
	flag.StringVar(&b.dist, "dist", "dist", "staged script root: make stage")
	flag.IntVar(&b.starts, "starts", 20, "starts to measure")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds of each load")
	flag.DurationVar(&b.length, "length", 2*time.Second, "length of a round")
	flag.Parse()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	dist           string
	starts, rounds int
	length         time.Duration

	dir      string // everything that is made
	env      []string
	call     samples.Call
	requests [][]byte
}

func (b *bench) run(ctx context.Context) error {
	var err error
	if b.dir, err = os.MkdirTemp("", "portico-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.publish(ctx); err != nil {
		return fmt.Errorf("publish the churn model: %w", err)
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.load(ctx); err != nil {
		return err
	}
	return b.profile(ctx)
}

// publish puts the churn model into production in a store of its own and keeps
// what a process needs to serve it.
func (b *bench) publish(ctx context.Context) error {
	local, hello := filepath.Join(b.dir, "local"), filepath.Join(b.dir, "hello")
	for out, pkg := range map[string]string{local: "./infra/local", hello: "./infra/bench/hello"} {
		if msg, err := exec.CommandContext(ctx, "go", "build", "-o", out, pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", pkg, err, msg)
		}
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	data := filepath.Join(b.dir, "data")
	up := exec.CommandContext(ctx, local, "run", "-bare", "-data", data, "-dist", filepath.Join(b.dir, "dist"), "-addr", addr)
	up.Stderr = os.Stderr
	if err := up.Start(); err != nil {
		return err
	}
	defer func() { up.Process.Signal(os.Interrupt); up.Wait() }()
	if err := ready(ctx, "http://"+addr+"/health/ready"); err != nil {
		return err
	}
	token := func(role string) (string, error) {
		out, err := exec.CommandContext(ctx, local, "token", "-data", data, "-role", role).Output()
		return strings.TrimSpace(string(out)), err
	}
	if b.call, err = samples.Churn(ctx, "http://"+addr, token, io.Discard); err != nil {
		return err
	}
	master, err := os.ReadFile(filepath.Join(data, "keys", "master"))
	if err != nil {
		return err
	}
	store, err := filepath.Abs(filepath.Join(data, "store"))
	if err != nil {
		return err
	}
	b.env = []string{"PORTICO_STORE=" + store, "PORTICO_MASTER_KEYS=" + strings.TrimSpace(string(master))}
	for _, body := range b.call.Bodies {
		b.requests = append(b.requests, load.Request("portico", b.call.Path, b.call.Key, body))
	}
	return nil
}

// handler starts the staged handler as a plain process on addr.
func (b *bench) handler(ctx context.Context, addr string) (*exec.Cmd, error) {
	path, err := filepath.Abs(filepath.Join(b.dist, "handler"))
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = append(b.env, "PORTICO_LISTEN="+addr)
	return cmd, cmd.Start()
}

// start measures from exec to listening and to the first score.
func (b *bench) start(ctx context.Context) error {
	var listening, scored []time.Duration
	for range b.starts {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		begin := time.Now()
		cmd, err := b.handler(ctx, addr)
		if err != nil {
			return err
		}
		var conn net.Conn
		for conn == nil {
			if conn, err = net.Dial("tcp", addr); err != nil && time.Since(begin) > 10*time.Second {
				return fmt.Errorf("the handler does not listen: %w", err)
			}
		}
		listening = append(listening, time.Since(begin))
		conn.Close()
		if _, err := load.Once(addr, b.requests[0]); err != nil {
			return err
		}
		scored = append(scored, time.Since(begin))
		cmd.Process.Kill()
		cmd.Wait()
	}
	fmt.Printf("start, medians of %d (embedded store, warm page cache, a process that has compiled nothing yet)\n", b.starts)
	fmt.Printf("  exec to listening     %6.1f ms   (bar: 10)\n", ms(median(listening)))
	fmt.Printf("  exec to first score   %6.1f ms   (bar: 15)\n", ms(median(scored)))
	return nil
}

// load measures RRS beside hello.
func (b *bench) load(ctx context.Context) error {
	targets := map[string]load.Target{}
	for name, start := range map[string]func(addr string) (*exec.Cmd, error){
		"rrs": func(addr string) (*exec.Cmd, error) { return b.handler(ctx, addr) },
		"hello": func(addr string) (*exec.Cmd, error) {
			cmd := exec.CommandContext(ctx, filepath.Join(b.dir, "hello"), "-addr", addr)
			return cmd, cmd.Start()
		},
	} {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		cmd, err := start(addr)
		if err != nil {
			return err
		}
		defer func() { cmd.Process.Kill(); cmd.Wait() }()
		if err := ready(ctx, "http://"+addr+"/"); err != nil {
			return err
		}
		targets[name] = load.Target{Addr: addr, PID: cmd.Process.Pid, Requests: b.requests}
	}
	for _, conns := range []int{1, 32} {
		results := map[string][]load.Result{}
		for range b.rounds + 1 {
			for _, name := range []string{"hello", "rrs"} {
				r, err := load.Run(targets[name], conns, b.length)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				results[name] = append(results[name], r)
			}
		}
		for name := range results { // the first round warms both up
			results[name] = results[name][1:]
		}
		pick := func(name string, f func(load.Result) time.Duration) time.Duration {
			var all []time.Duration
			for _, r := range results[name] {
				all = append(all, f(r))
			}
			return median(all)
		}
		cpu := func(r load.Result) time.Duration { return r.CPU }
		p50 := func(r load.Result) time.Duration { return r.P50 }
		per := func(r load.Result) time.Duration { return time.Duration(float64(time.Second) / r.PerSecond) }
		hello, rrs := pick("hello", cpu), pick("rrs", cpu)
		fmt.Printf("\none churn row of 19 columns, %d connection(s), medians of %d rounds of %v\n", conns, b.rounds, b.length)
		fmt.Printf("  %-28s %10s %10s\n", "", "hello", "rrs")
		fmt.Printf("  %-28s %10.1f %10.1f   hello + %.1f (bar at 32: 15)\n", "server CPU per call, µs", us(hello), us(rrs), us(rrs-hello))
		fmt.Printf("  %-28s %10.0f %10.0f   %.2f × hello (bar at 32: 0.8)\n", "calls per second", 1e9/float64(pick("hello", per)), 1e9/float64(pick("rrs", per)), float64(pick("hello", per))/float64(pick("rrs", per)))
		fmt.Printf("  %-28s %10.1f %10.1f\n", "p50, µs", us(pick("hello", p50)), us(pick("rrs", p50)))
	}
	return nil
}

// profile runs the rrs function's own benchmark, a call without the network,
// and prints which packages hold its time.
func (b *bench) profile(ctx context.Context) error {
	test, prof := filepath.Join(b.dir, "rrs.test"), filepath.Join(b.dir, "rrs.prof")
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkExecute$", "-benchmem", "-benchtime", "3s", "-cpuprofile", prof, "-o", test, "./functions/rrs").CombinedOutput()
	if err != nil {
		return fmt.Errorf("benchmark of rrs: %w\n%s", err, out)
	}
	fmt.Printf("\na call without the network (httptest), from its CPU profile\n")
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Benchmark") {
			fmt.Print("  ", line)
		}
	}
	top, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-cum", "-nodecount", "400", test, prof).CombinedOutput()
	if err != nil {
		return fmt.Errorf("pprof: %w\n%s", err, top)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(top)) {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		// The outermost function of each package stands first.
		for _, part := range parts {
			if !seen[part.what] && strings.HasPrefix(f[5], part.prefix) {
				seen[part.what] = true
				fmt.Printf("  %6s  %s\n", f[4], part.what)
			}
		}
	}
	return nil
}

// parts are the outermost functions of what a call consists of.
var parts = []struct{ prefix, what string }{
	{"github.com/portico-ml/portico/shared/host/web.(*Router).ServeHTTP", "the whole call"},
	{"github.com/portico-ml/portico/functions/rrs.(*Function).serve", "  rrs"},
	{"github.com/portico-ml/portico/shared/registry.(*Registry).Resolve", "    find the endpoint"},
	{"github.com/portico-ml/portico/shared/registry.(*Target).Authorized", "    check the key"},
	{"github.com/portico-ml/portico/shared/wire.(*Decoder).Execute", "    read the request"},
	{"github.com/portico-ml/portico/shared/scoring.(*Session).Score", "    score"},
	{"github.com/portico-ml/portico/shared/model.(*Scorer).Score", "      the model"},
	{"github.com/portico-ml/portico/shared/wire.(*Ports).AppendAnswer", "    write the answer"},
	{"github.com/portico-ml/portico/shared/registry.(*Registry).Count", "    count it"},
	{"runtime.gcBgMarkWorker", "garbage collection"},
}

func median[T cmp.Ordered](v []T) T {
	slices.Sort(v)
	return v[len(v)/2]
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }
func us(d time.Duration) float64 { return float64(d) / 1e3 }

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// ready waits until url answers 200.
func ready(ctx context.Context, url string) error {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s does not answer", url)
}
