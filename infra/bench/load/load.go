// Package load drives one HTTP/1.1 request over and over on keep-alive
// connections and measures both ends: latency at the client, CPU time at the
// server process. It writes prebuilt bytes and reads just enough of an answer
// to find its end, so that on a small machine the client does not drown the
// server.
package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Target is what to call: raw requests, sent round robin, to an address.
type Target struct {
	Addr     string
	PID      int // process whose CPU time is charged
	Requests [][]byte
}

// Result is what one run of a target saw.
type Result struct {
	CPU       time.Duration // server CPU time per call
	P50       time.Duration
	PerSecond float64
}

// Request builds the bytes of a POST.
func Request(host, path, key string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n", path, host)
	if key != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", key)
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.Bytes()
}

// Run calls t over conns connections for at least d. An answer other than 200
// ends the run with an error.
func Run(t Target, conns int, d time.Duration) (Result, error) {
	var (
		wg   sync.WaitGroup
		stop atomic.Bool
		mu   sync.Mutex
		all  []time.Duration
		errs []error
	)
	before, err := cpuTime(t.PID)
	if err != nil {
		return Result{}, err
	}
	start := time.Now()
	for c := range conns {
		wg.Go(func() {
			took, err := callUntil(t, c, &stop)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if err != nil {
				errs = append(errs, err)
				stop.Store(true)
			}
		})
	}
	time.AfterFunc(d, func() { stop.Store(true) })
	wg.Wait()
	elapsed := time.Since(start)
	after, err := cpuTime(t.PID)
	if err = errors.Join(append(errs, err)...); err != nil {
		return Result{}, err
	}
	slices.Sort(all)
	n := len(all)
	return Result{
		CPU: (after - before) / time.Duration(n),
		P50: all[n/2], PerSecond: float64(n) / elapsed.Seconds(),
	}, nil
}

// Once makes one call on a connection of its own and returns how long it took.
func Once(addr string, request []byte) (time.Duration, error) {
	begin := time.Now()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	return time.Since(begin), answer(bufio.NewReader(conn))
}

func callUntil(t Target, first int, stop *atomic.Bool) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", t.Addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	took := make([]time.Duration, 0, 1<<16)
	for i := first; !stop.Load(); i++ {
		begin := time.Now()
		if _, err := conn.Write(t.Requests[i%len(t.Requests)]); err != nil {
			return took, err
		}
		if err := answer(r); err != nil {
			return took, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}

// answer reads one response with a Content-Length.
func answer(r *bufio.Reader) error {
	length, status := -1, ""
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if status == "" {
			status = string(line)
		}
		if len(line) == 0 {
			break
		}
		const name = "content-length:"
		if len(line) > len(name) && strings.EqualFold(string(line[:len(name)]), name) {
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[len(name):]))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("%s: no Content-Length", status)
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200") {
		body := make([]byte, length)
		io.ReadFull(r, body)
		return fmt.Errorf("%s: %s", status, body)
	}
	_, err := r.Discard(length)
	return err
}

// cpuTime sums the CPU time of every thread of a process, to the nanosecond,
// from /proc/{pid}/task/*/schedstat. Threads that ended are lost: a Go server
// in steady state ends none.
func cpuTime(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("process %d is not there", pid)
	}
	var sum time.Duration
	for _, f := range tasks {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread ended between the two calls
		}
		ns, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}
