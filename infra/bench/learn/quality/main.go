// Command quality holds learners to the libraries that are their reference:
// ten folds of ten real tables, the same rows and parameters for both. The
// reference's figures are committed, so that it needs no Python.
//
//	go run ./infra/bench/learn/quality                 every row of table.json
//	go run ./infra/bench/learn/quality -row Boosted    rows whose name contains a text
//	go run ./infra/bench/learn/quality -table churn    on one table
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir := flag.String("dir", "infra/bench/learn/quality", "folder of table.json, the data and the folds")
	row := flag.String("row", "", "only rows whose name contains this")
	table := flag.String("table", "", "only this table")
	flag.Parse()
	failed, err := run(ctx, *dir, *row, *table)
	if err != nil {
		fmt.Fprintln(os.Stderr, "quality:", err)
		os.Exit(1)
	}
	if failed > 0 {
		fmt.Printf("%d lines fail\n", failed)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, row, table string) (failed int, err error) {
	rig, err := open(dir)
	if err != nil {
		return 0, err
	}
	fmt.Println("| learner / reference | table | metric | ours | reference | difference | standard error | |")
	fmt.Println("|---|---|---|---:|---:|---:|---:|---|")
	for i := range rig.rows {
		r := &rig.rows[i]
		if !strings.Contains(r.Name, row) {
			continue
		}
		for _, t := range r.Tables {
			if table != "" && t != table {
				continue
			}
			lines, err := rig.compare(ctx, r, t)
			if err != nil {
				return failed, fmt.Errorf("%s on %s: %w", r.Name, t, err)
			}
			for _, l := range lines {
				verdict := "pass"
				if !l.pass() {
					verdict = "**FAIL**"
					failed++
				}
				fmt.Printf("| %s | %s | %s | %.5g | %.5g | %+.2g | %.2g | %s |\n", r.Name, t, l.metric, mean(l.ours), mean(l.theirs), l.difference(), l.standardError(), verdict)
			}
		}
	}
	return failed, nil
}

// line is one metric of one row on one table, by fold.
type line struct {
	metric       string
	ours, theirs []float64
	within       float64 // the most that an AUC or accuracy may be lower by
}

// largerIsBetter reports which way the metric points.
func (l *line) largerIsBetter() bool { return l.metric == "auc" || l.metric == "accuracy" }

// pass holds the line to the bars: an AUC or accuracy not more than 0.005
// lower, any other metric not more than 1 % higher, or a difference within one
// standard error of the folds' differences.
func (l *line) pass() bool {
	d := l.difference()
	if l.largerIsBetter() {
		return -d <= max(l.within, l.standardError())
	}
	return d <= max(0.01*mean(l.theirs), l.standardError())
}

func (l *line) difference() float64 { return mean(l.ours) - mean(l.theirs) }

// standardError is that of the mean of the folds' differences.
func (l *line) standardError() float64 {
	d, sum := l.difference(), 0.0
	for k := range l.ours {
		e := l.ours[k] - l.theirs[k] - d
		sum += e * e
	}
	n := float64(len(l.ours))
	return math.Sqrt(sum / (n - 1) / n)
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
