package batch

import (
	"context"
	"flag"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

var full = flag.Bool("full", false, "let every storage call of the job of fifty chunks fail, not one of each kind: minutes")

const fiftyChunks = 50

// fifty is an input of fifty chunks of three rows, with bad rows of every sort
// among them, and what is to become of it at a rate of 0.5. Rows have one
// length, so that every chunk has its three.
func fifty() (in string, want outcome) {
	var rows, out, errs strings.Builder
	rows.WriteString("id,minutes,calls\n")
	out.WriteString("id,charge,calls\n")
	errs.WriteString(errorHeader)
	bad := func(i int, column, code, reason, raw string) {
		fmt.Fprintf(&errs, "%d,input1,%s,%s,%s,\"%s\"\n", i, column, code, reason, raw)
	}
	for i := 1; i <= 3*fiftyChunks; i++ {
		id := fmt.Sprintf("R%04d", i)
		row := fmt.Sprintf("%s,%03d.0,%d", id, i, i%9)
		switch i % 25 {
		case 5:
			row = fmt.Sprintf("%s,1O%d.0,%d", id, i%10, i%9)
			bad(i, "minutes", "InputParseError", fmt.Sprintf(`"column ""minutes"" (Double): value ""1O%d.0"" is not a number"`, i%10), row)
		case 11:
			row = fmt.Sprintf("%s,-%02d.0,%d", id, i%100, i%9)
			bad(i, "Apply Math Operation", "NegativeMinutes", "minutes are negative", row)
		case 17:
			row = id + ",0017000"
			bad(i, "", "InputParseError", `"the record has 2 fields, the header 3"`, row)
		case 20: // a line end inside of a cell
			id = fmt.Sprintf("\"\n%02d\"", i%100)
			row = id + row[5:]
			fallthrough
		default:
			fmt.Fprintf(&out, "%s,%s,%d\n", id, strconv.FormatFloat(float64(i)/2, 'g', -1, 64), i%9)
		}
		rows.WriteString(row + "\n")
	}
	return rows.String(), outcome{out.String(), errs.String()}
}

func fiftyRig(t testing.TB, in string) *rig {
	r := newRig(t)
	r.limits = Limits{ChunkBytes: 3 * 14, Window: 8}
	r.restart()
	r.put("in.csv", in)
	return r
}

// marked notes, for every storage call of a job, during which message it was.
type marked struct {
	calls []faulty.Call
	of    []string // by call: "submit", a step, "chunk", and which call it is of that message
}

// calmFifty runs the job of fifty chunks undisturbed.
func calmFifty(t *testing.T, in string, want outcome) (ours, theirs marked) {
	t.Helper()
	r := fiftyRig(t, in)
	note := func(what string) {
		for _, m := range []struct {
			m *marked
			s *faulty.Store
		}{{&ours, r.store}, {&theirs, r.caller}} {
			m.m.calls = m.s.Calls()
			for k := 1; len(m.m.of) < len(m.m.calls); k++ {
				m.m.of = append(m.m.of, fmt.Sprint(what, " ", k))
			}
		}
	}
	id := r.submit(body(`{"RowErrors":"collect"}`))
	note("submit")
	for {
		m, queue := r.next()
		if m.ID == "" {
			break
		}
		what := "chunk"
		if step := regexp.MustCompile(`"step":"(\w+)"`).FindSubmatch(m.Body); step != nil {
			what = string(step[1])
		}
		r.handle(queue, m)
		note(what)
	}
	if got := r.outcome(id); got != want {
		t.Fatalf("undisturbed:\n%s\n%s\nwant:\n%s\n%s", got.out, got.errs, want.out, want.errs)
	}
	if n := r.status(id).Progress.Chunks; n != fiftyChunks {
		t.Fatalf("%d chunks", n)
	}
	return ours, theirs
}

// next takes the next message, of the job's own steps first.
func (r *rig) next() (m storage.Message, queue string) {
	r.t.Helper()
	for _, queue := range []string{JobQueue, ChunkQueue} {
		ms, err := r.inner.Queues.Receive(r.t.Context(), queue, 1, time.Minute)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(ms) > 0 {
			return ms[0], queue
		}
	}
	return m, ""
}

var (
	ids     = regexp.MustCompile(`[0-9a-f]{16,32}`)
	numbers = regexp.MustCompile(`[0-9]+`)
)

// chosen are the numbers of the calls to strike. A job does the same calls for
// each chunk: of every sort of call (the how manieth of which message, and on what
// kind of thing) it takes the first, the last and one between.
func (m *marked) chosen(t *testing.T) []int {
	var all []int
	bySort := map[string][]int{}
	var sorts []string
	for i, c := range m.calls {
		all = append(all, i+1)
		sort := m.of[i] + " " + c.Port + "." + c.Method + " " + numbers.ReplaceAllString(ids.ReplaceAllString(c.Target, "ID"), "N")
		if bySort[sort] == nil {
			sorts = append(sorts, sort)
		}
		bySort[sort] = append(bySort[sort], i+1)
	}
	if *full {
		return all
	}
	var chosen []int
	for i, sort := range sorts {
		of := bySort[sort]
		chosen = append(chosen, of[0])
		if len(of) > 1 {
			chosen = append(chosen, of[len(of)-1])
		}
		if len(of) > 2 {
			chosen = append(chosen, of[1+i%(len(of)-2)])
		}
	}
	t.Logf("%d calls of %d sorts, %d of them chosen", len(all), len(sorts), len(chosen))
	return chosen
}

// Every storage call of a job of fifty chunks, in turn, is lost, has its answer
// lost, or is where the process dies, before and after: output and error file
// are the same bytes. Messages come again, and calls are repeated, until the job
// ends, without help from sweep.
func TestCrash_fiftyChunks(t *testing.T) {
	in, want := fifty()
	ours, theirs := calmFifty(t, in, want)
	for _, store := range []struct {
		name string
		m    *marked
		of   func(*rig) *faulty.Store
	}{
		{"ours", &ours, func(r *rig) *faulty.Store { return r.store }},
		{"the caller's", &theirs, func(r *rig) *faulty.Store { return r.caller }},
	} {
		for i, n := range store.m.chosen(t) {
			if i%every(t) != 0 {
				continue
			}
			call := store.m.calls[n-1]
			t.Run(fmt.Sprintf("%s/%s/%s", store.name, store.m.of[n-1], call), func(t *testing.T) {
				t.Parallel()
				for _, e := range []faulty.Effect{faulty.FailBefore, faulty.FailAfter, faulty.CrashBefore, faulty.CrashAfter} {
					r := fiftyRig(t, in)
					var struck atomic.Bool
					store.of(r).Plan(func(_ context.Context, c faulty.Call) faulty.Effect {
						if c.N == n && struck.CompareAndSwap(false, true) {
							return e
						}
						return faulty.Pass
					})
					id := r.submit(body(`{"RowErrors":"collect"}`))
					r.drain()
					r.revive()
					// What did not strike the job must not strike the look at it.
					r.store.Plan()
					r.caller.Plan()
					if got := r.outcome(id); got != want {
						t.Errorf("%s: output differs:\n%s\n%s\nlog:\n%s", e, got.out, got.errs, r.log.String())
					}
					if !struck.Load() {
						t.Errorf("%s: the call was not made", e)
					}
					r.settle()
					if n := len(r.index()); n != 0 {
						t.Errorf("%s: %d rows of the active index are left", e, n)
					}
					r.noSecret()
				}
			})
		}
	}
}
