package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	kills = flag.Int("kills", 200, "how often TestKilled kills a handler; a quarter of it with -race, a tenth with -short")
	seed  = flag.Uint64("seed", 1, "of the moments at which it does")
)

const (
	killedChunks = 50
	// A message that has ended its worker four times is not run again, and a
	// kill costs every message that is being worked on a try: three in a run of
	// the job can do no message that harm.
	killsInRun = 3
)

// TestKilled runs a batch job of fifty chunks again and again, on two hosts
// over one store, while their handlers are killed -9: at the n-th storage call,
// before or after its effect or within, at the begin or the end of the scoring
// of a chunk or within, or by the clock. Each time output and error file must
// have the bytes of a run that nobody disturbed.
func TestKilled(t *testing.T) {
	want := *kills
	switch {
	case testing.Short():
		want /= 10
	case raced: // which makes all of it several times slower
		want /= 4
	}
	c := newCluster(t)
	calm, took := c.run(t)
	c.check(t, calm)
	t.Logf("seed %d; %d rows, %d of them bad; undisturbed, a run takes %v", *seed, c.rows, len(c.bad), took.Round(time.Millisecond))

	dice := rand.New(rand.NewPCG(*seed, 9))
	struck := map[string]int{}
	done, runs := 0, 0
	for done < want {
		if runs++; runs > 2*want {
			t.Fatalf("%d kills in %d runs", done, runs)
		}
		first := dice.IntN(killsInRun + 1)
		for i, n := range []int{first, killsInRun - first} {
			p := plan{Run: runs}
			for range n {
				p.Moments = append(p.Moments, draw(dice, took, n))
			}
			if err := writePlan(c.hosts[i].dir, p); err != nil {
				t.Fatal(err)
			}
		}
		got, _ := c.run(t)
		for _, k := range c.kills(t) {
			done++
			var in []string
			for _, line := range k.in {
				_, what, _ := strings.Cut(line, ": ")
				struck[what]++
				if what != waiting {
					in = append(in, line)
				}
			}
			t.Logf("kill %d, in run %d, %s: %s; %d waiting", done, k.Run, k.Moment, strings.Join(in, "; "), len(k.in)-len(in))
		}
		if !bytes.Equal(got.out, calm.out) || !bytes.Equal(got.errs, calm.errs) {
			t.Fatalf("run %d: %d bytes of output and %d of errors, not those of the undisturbed run, %d and %d",
				runs, len(got.out), len(got.errs), len(calm.out), len(calm.errs))
		}
	}
	var table strings.Builder
	for _, what := range slices.Sorted(maps.Keys(struck)) {
		fmt.Fprintf(&table, "\n%5d %s", struck[what], what)
	}
	t.Logf("%d kills in %d runs. A handler that was killed was in the middle of (it may be several things):%s", done, runs, table.String())
	for deadline := time.Now().Add(time.Minute); c.ended.count() < done; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d kills are told of, the hosts saw %d handlers end", done, c.ended.count())
		}
	}
	for _, what := range []string{"scoring", "Blobs.PutPart", "Tables.Apply"} {
		if struck[what] == 0 && (done >= 100 || what == "scoring") { // few kills may miss what is short
			t.Errorf("no kill was inside of %s", what)
		}
	}
}

// draw makes a moment that is likely to come, where a host does about half of a
// job's calls, and a process one n-th of that.
func draw(dice *rand.Rand, took time.Duration, n int) moment {
	upTo := func(most int) int { return 1 + dice.IntN(max(most/n, 1)) }
	var m moment
	switch r := dice.IntN(20); {
	case r < 7:
		m.Of, m.N = "call", upTo(4*killedChunks)
	case r < 14:
		m.Of, m.N = "scoring", upTo(killedChunks/2)
	case r < 18:
		m.Of, m.N = "besjob call", upTo(2*killedChunks)
	default:
		return moment{Of: "clock", Delay: time.Duration(dice.Int64N(int64(took) / 2))}
	}
	if m.Phase = []string{"begin", "within", "end"}[dice.IntN(3)]; m.Phase == "within" {
		m.Delay = time.Duration(dice.IntN(2000)) * time.Microsecond
	}
	return m
}
