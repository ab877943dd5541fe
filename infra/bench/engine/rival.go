//go:build unix

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// rival is another library's process: see rival.c.
type rival struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	answers []float64 // to the first three rows
}

// libraries are the files of the libraries in the Python environment.
var libraries = map[string]string{
	"xgboost":     "xgboost/lib/libxgboost.so",
	"lightgbm":    "lightgbm/lib/lib_lightgbm.so",
	"onnxruntime": "onnxruntime/capi/libonnxruntime.so.*",
}

func (b *bench) start(ctx context.Context, name, model, rows string, columns int) (*rival, error) {
	args := []string{name, "-", model, rows, strconv.Itoa(columns)}
	program := filepath.Join(b.cache, "rival")
	if pattern, ok := libraries[name]; ok {
		found, err := filepath.Glob(filepath.Join(b.cache, "venv/lib/python3*/site-packages", pattern))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("%d libraries %s, %w", len(found), pattern, err)
		}
		args[1] = found[0]
	} else {
		program, args = b.python(), append([]string{filepath.Join(b.cache, "rival.py")}, args...)
	}
	r := &rival{cmd: exec.CommandContext(ctx, program, args...)}
	r.cmd.Env = []string{"OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1"}
	var errors strings.Builder
	r.cmd.Stderr = &errors
	var err error
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = bufio.NewReader(out)
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := r.out.ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) == 0 || fields[0] != "ready" {
		r.stop()
		return nil, fmt.Errorf("it did not start: %q %s", line, errors.String())
	}
	for _, f := range fields[1:] {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil {
			r.stop()
			return nil, err
		}
		r.answers = append(r.answers, v)
	}
	return r, nil
}

// time returns the nanoseconds of a row in calls of n.
func (r *rival) time(n int) (float64, error) {
	if _, err := fmt.Fprintln(r.in, n); err != nil {
		return 0, err
	}
	line, err := r.out.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(line), 64)
}

func (r *rival) stop() {
	r.in.Close()
	r.cmd.Wait() //nolint:errcheck // it has answered, or its error was told
}
