package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/palette"
)

// folds is how many there are.
const folds = 10

// row is one row of table.json: a learner, and what it is held to.
type row struct {
	Name   string
	Tables []string
	// Metrics are those of the tables where it is empty.
	Metrics []string
	untrained
	// Against names a row that has no library as its reference but our own
	// figures of another.
	Against string
	// Within is the most that an AUC or accuracy may be lower by; 0 is 0.005.
	Within float64
	// Random measures it by several seeds: the table's number of them.
	Random bool
	// Reference is for reference.py.
	Reference json.RawMessage
}

// untrained is a module that names a learner, with its parameters.
type untrained struct {
	Module     string
	Parameters map[string]string
	Base       *untrained // of learners that wrap one
}

// table is what tables.json says of a table.
type table struct {
	Label   string
	Metrics []string
	// Usual is the class that learners of unusual rows learn from.
	Usual string
	// Seeds is how many seeds random learners are measured by; 0 is 1.
	Seeds int
}

// rig is the rows, the tables, and the figures so far.
type rig struct {
	dir       string
	rows      []row
	tables    map[string]table
	folds     map[string]string // by table: the fold of each row, a digit
	reference map[string]map[string]map[string][]float64
	ours      map[string]map[string][]float64 // by row and table
	palette   *module.Palette
}

func open(dir string) (*rig, error) {
	r := &rig{dir: dir, folds: map[string]string{}, ours: map[string]map[string][]float64{}, palette: palette.New()}
	for name, into := range map[string]any{"table.json": &r.rows, "tables.json": &r.tables, "reference.json": &r.reference} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, into); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "folds.txt"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		r.folds[name] = digits
	}
	return r, nil
}

// row returns a row by its name.
func (r *rig) row(name string) (*row, error) {
	i := slices.IndexFunc(r.rows, func(x row) bool { return x.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("table.json has no row %q", name)
	}
	return &r.rows[i], nil
}

// compare measures a row on a table and sets it beside its reference.
func (r *rig) compare(ctx context.Context, x *row, table string) ([]line, error) {
	ours, err := r.measure(ctx, x, table)
	if err != nil {
		return nil, err
	}
	theirs, within := r.reference[x.Name][table], 0.005
	if x.Within > 0 {
		within = x.Within
	}
	if x.Against != "" {
		other, err := r.row(x.Against)
		if err != nil {
			return nil, err
		}
		if theirs, err = r.measure(ctx, other, table); err != nil {
			return nil, err
		}
	}
	if theirs == nil {
		return nil, errors.New("reference.json has no figures: run reference.py")
	}
	var lines []line
	for _, m := range r.metrics(x, table) {
		if theirs[m] == nil || ours[m] == nil {
			return nil, fmt.Errorf("no figures of %s", m)
		}
		lines = append(lines, line{m, ours[m], theirs[m], within})
	}
	return lines, nil
}

func (r *rig) metrics(x *row, table string) []string {
	if x.Metrics != nil {
		return x.Metrics
	}
	return r.tables[table].Metrics
}

// measure cross-validates a learner: the metrics of each fold, of a random
// one their means over seeds. Rows that differ in their reference alone are
// measured once.
func (r *rig) measure(ctx context.Context, x *row, table string) (map[string][]float64, error) {
	key, err := json.Marshal(struct {
		U       untrained
		Random  bool
		Table   string
		Metrics []string
	}{x.untrained, x.Random, table, r.metrics(x, table)})
	if err != nil {
		return nil, err
	}
	if done, ok := r.ours[string(key)]; ok {
		return done, nil
	}
	f, err := r.read(table)
	if err != nil {
		return nil, err
	}
	seeds := 1
	if x.Random {
		seeds = max(1, r.tables[table].Seeds)
	}
	out := map[string][]float64{}
	for seed := range seeds {
		u := x.untrained
		if x.Random {
			u.Parameters = maps.Clone(u.Parameters)
			if u.Parameters == nil {
				u.Parameters = map[string]string{}
			}
			u.Parameters["Random number seed"] = strconv.Itoa(seed)
		}
		l, err := r.learner(&u)
		if err != nil {
			return nil, err
		}
		var metrics [folds]map[string]float64
		var failed [folds]error
		learn.NewSession().Each(folds, func(_, k int) {
			metrics[k], failed[k] = r.fold(ctx, l, f, table, k)
		})
		if err := errors.Join(failed[:]...); err != nil {
			return nil, err
		}
		for k := range folds {
			for name, v := range metrics[k] {
				if out[name] == nil {
					out[name] = make([]float64, folds)
				}
				out[name][k] += v / float64(seeds)
			}
		}
	}
	r.ours[string(key)] = out
	return out, nil
}

// fold trains a learner on the rows outside fold k of a table and returns its
// metrics on those inside.
func (r *rig) fold(ctx context.Context, l learn.Learner, f *frame.Frame, table string, k int) (map[string]float64, error) {
	var train, test []int
	for i, digit := range r.folds[table] {
		if int(digit-'0') == k {
			test = append(test, i)
		} else {
			train = append(train, i)
		}
	}
	request, err := r.tables[table].request(l.Kind(), f, train)
	if err != nil {
		return nil, err
	}
	d, b, err := learn.Prepare(l, request)
	if err != nil {
		return nil, err
	}
	trained, err := l.Train(ctx, d, learn.NewSession())
	if err != nil {
		return nil, err
	}
	artifact, err := b.Encode(trained)
	if err != nil {
		return nil, err
	}
	m, err := model.Open(artifact)
	if err != nil {
		return nil, err
	}
	return score(m, f.Take(test), r.tables[table])
}

// request is to learn from those rows: without the label where the learner
// predicts none, and from rows of the usual class where it is to find others.
func (t table) request(kind model.Kind, f *frame.Frame, rows []int) (learn.Request, error) {
	if kind != model.Anomaly && kind != model.Clustering {
		return learn.Request{Frame: f.Take(rows), Label: t.Label}, nil
	}
	var columns []int
	for i, c := range f.Cols {
		if c.Field.Name != t.Label {
			columns = append(columns, i)
		}
	}
	if kind == model.Anomaly {
		if t.Usual == "" {
			return learn.Request{}, errors.New("tables.json names no usual class")
		}
		y := f.Col(t.Label)
		rows = slices.DeleteFunc(rows, func(row int) bool { return string(y.Print(nil, row)) != t.Usual })
	}
	return learn.Request{Frame: f.Take(rows), Columns: columns}, nil
}

// learner makes the learner that a module names.
func (r *rig) learner(u *untrained) (learn.Learner, error) {
	m := r.palette.Lookup(u.Module)
	if m == nil || m.Learner == nil {
		return nil, fmt.Errorf("no module %q names a learner", u.Module)
	}
	values, problems := m.Resolve(u.Parameters)
	if len(problems) > 0 {
		return nil, errors.New(problems[0].Message)
	}
	var base learn.Learner
	if u.Base != nil {
		var err error
		if base, err = r.learner(u.Base); err != nil {
			return nil, err
		}
	}
	return m.Learner(values, base)
}

// read reads a table as a new dataset would be.
func (r *rig) read(table string) (*frame.Frame, error) {
	packed, err := os.ReadFile(filepath.Join(r.dir, "data", table+".csv.gz"))
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	csv, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	schema, err := frame.Inference{}.Infer(csv)
	if err != nil {
		return nil, err
	}
	layout, err := frame.NewLayout(schema)
	if err != nil {
		return nil, err
	}
	f, err := frame.CSV{}.Read(csv, layout)
	if err == nil && f.Rows() != len(r.folds[table]) {
		err = fmt.Errorf("%d rows, %d in folds.txt", f.Rows(), len(r.folds[table]))
	}
	return f, err
}
