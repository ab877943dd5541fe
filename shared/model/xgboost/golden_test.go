package xgboost

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/linear"
	"github.com/portico-ml/portico/shared/model/modeltest"
	"github.com/portico-ml/portico/shared/model/trees"
)

const golden = "../testdata/xgboost"

// readNumbers reads a CSV of numbers; an empty cell is NaN.
func readNumbers(t *testing.T, path string) (head []string, rows [][]float64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records[1:] {
		row := make([]float64, len(rec))
		for i, s := range rec {
			if s == "" {
				row[i] = math.NaN()
			} else if row[i], err = strconv.ParseFloat(s, 64); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		rows = append(rows, row)
	}
	return records[0], rows
}

// inputs is the file of a case's features: its own, or the one that cases
// share which differ in the objective alone.
func inputs(name string) string {
	if own := golden + "/inputs/" + name + ".csv"; exists(own) {
		return own
	}
	return golden + "/inputs/objectives.csv"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

type engine interface {
	Features() int
	Outputs() int
}

type session interface {
	Predict(x []float64, n int, out []float64)
}

// open opens a model's engine.
func open(m *model.Foreign) (e engine, newSession func(rows int) session, err error) {
	if m.Engine == model.EngineLinear {
		e, err := linear.Open(m.Body)
		return e, func(int) session { return e }, err
	}
	trees, err := trees.Open(m.Body)
	return trees, func(rows int) session { return trees.NewSession(rows) }, err
}

// margins scores rows in batches of the given size.
func margins(e engine, newSession func(rows int) session, rows [][]float64, batch int) [][]float64 {
	s := newSession(batch)
	x := make([]float64, batch*e.Features())
	out := make([]float64, batch*e.Outputs())
	var all [][]float64
	for len(rows) > 0 {
		n := min(batch, len(rows))
		for r := range n {
			for f, v := range rows[r] {
				x[f*n+r] = v
			}
		}
		s.Predict(x, n, out)
		for r := range n {
			all = append(all, slices.Clone(out[r*e.Outputs():][:e.Outputs()]))
		}
		rows = rows[n:]
	}
	return all
}

// TestMarginsEqualXGBoost scores every golden model and compares the margins
// with those XGBoost gave, to the bit: two units in the last place for dart,
// whose weights XGBoost applies to a rounded sum.
func TestMarginsEqualXGBoost(t *testing.T) {
	files, err := filepath.Glob(golden + "/[0-9]*/*.[ju]*")
	if err != nil || len(files) < 200 {
		t.Fatalf("%d golden models, %v", len(files), err)
	}
	for _, file := range files {
		version, name := filepath.Base(filepath.Dir(file)), strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		t.Run(version+"/"+filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m, err := Load(b)
			if err != nil {
				t.Fatal(err)
			}
			if want := "XGBoost " + version; m.Library != want {
				t.Errorf("library %q, want %q", m.Library, want)
			}
			e, newSession, err := open(m)
			if err != nil {
				t.Fatal(err)
			}
			_, x := readNumbers(t, inputs(name))
			head, want := readNumbers(t, golden+"/"+version+"/"+name+".csv")
			got := margins(e, newSession, x, 64)
			ulps := 0
			if name == "dart" {
				ulps = 2
			}
			bad := 0
			for r := range want {
				for k := range e.Outputs() {
					if head[k] != "margin"+strconv.Itoa(k) {
						t.Fatalf("column %d of the golden file is %s", k, head[k])
					}
					if g, w := float32(got[r][k]), float32(want[r][k]); distance(g, w) > ulps {
						if bad++; bad <= 3 {
							t.Errorf("row %d, output %d: margin %v, XGBoost has %v", r+1, k, g, w)
						}
					}
				}
			}
			if bad > 0 {
				t.Errorf("%d margins of %d rows differ", bad, len(want))
			}
			if m.Kind == model.Regression && m.NumClasses != 0 {
				t.Errorf("a regression model with %d classes", m.NumClasses)
			}
		})
	}
}

// TestContributionsEqualXGBoost compares contributions with XGBoost's
// pred_contribs, in both forms of each model.
func TestContributionsEqualXGBoost(t *testing.T) {
	files, err := filepath.Glob(golden + "/[0-9]*/*.contributions.csv")
	if err != nil || len(files) < 39 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, path := range files {
		version, name := filepath.Base(filepath.Dir(path)), strings.TrimSuffix(filepath.Base(path), ".contributions.csv")
		for _, form := range []string{".json", ".ubj"} {
			t.Run(version+"/"+name+form, func(t *testing.T) {
				m, err := Load(read(t, golden+"/"+version+"/"+name+form))
				if err != nil {
					t.Fatal(err)
				}
				x, err := trees.OpenExplainer(m.Body)
				if err != nil {
					t.Fatal(err)
				}
				_, rows := readNumbers(t, inputs(name))
				modeltest.Contributions(t, x, path, rows, 1)
			})
		}
	}
}

// TestManifest holds that the golden files are those that make.py wrote.
func TestManifest(t *testing.T) {
	var manifest map[string]struct{ Files map[string]string }
	if err := json.Unmarshal(read(t, golden+"/MANIFEST.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	files := 0
	for version, m := range manifest {
		for name, want := range m.Files {
			files++
			if got := fmt.Sprintf("%x", sha256.Sum256(read(t, golden+"/"+name))); got != want {
				t.Errorf("%s: %s hashes to %s, not %s", version, name, got, want)
			}
		}
	}
	if len(manifest) != 4 || files < 420 {
		t.Errorf("%d versions with %d files", len(manifest), files)
	}
}

// distance counts the float32 values between a and b.
func distance(a, b float32) int {
	order := func(f float32) int {
		if i := int(int32(math.Float32bits(f))); i >= 0 {
			return i
		} else {
			return math.MinInt32 - i
		}
	}
	d := order(a) - order(b)
	return max(d, -d)
}
