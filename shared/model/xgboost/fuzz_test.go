package xgboost

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
)

// load is the property of both fuzz targets: a file is refused as a package
// fault, or becomes a model that opens and scores.
func load(t *testing.T, file []byte) {
	m, err := Load(file)
	if err != nil {
		if fault.KindOf(err) != fault.Package {
			t.Fatalf("kind %s: %v", fault.KindOf(err), err)
		}
		return
	}
	e, newSession, err := open(m)
	if err != nil {
		t.Fatalf("loads, but does not open: %v", err)
	}
	if len(m.Features) != e.Features() {
		t.Fatalf("%d features found, the engine has %d", len(m.Features), e.Features())
	}
	if e.Features() <= 1<<12 && e.Outputs() <= 1<<8 {
		margins(e, newSession, [][]float64{make([]float64, e.Features())}, 1)
	}
}

// The seeds are small, for the fuzzer shortens what it finds byte by byte.
var seeds = []string{
	document,
	`{"version":[1,7,6],"learner":{"learner_model_param":{"base_score":"[1E0,2E0]","num_class":"2","num_feature":"1"},"objective":{"name":"multi:softprob"},
"gradient_booster":{"name":"dart","weight_drop":[1,0.5],"gbtree":{"model":{"tree_info":[0,1],"trees":[
{"left_children":[-1],"right_children":[-1],"split_indices":[0],"split_conditions":[2],"default_left":[false]},
{"left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_indices":[0,0,0],"split_conditions":[NaN,1,2],"default_left":[true,false,false],
"split_type":[1,0,0],"categories":[0,2],"categories_nodes":[0],"categories_segments":[0],"categories_sizes":[2]}]}}}}}`,
	`{"learner":{"gradient_booster":{"model":{"cats":{"enc":[{"offsets":[0,1,3],"values":[97,-61,-87]},{"type":15,"values":[3,5]}]},"tree_info":[],"trees":[]},"name":"gbtree"},
"learner_model_param":{"base_score":"5E-1","num_feature":"2"},"objective":{"name":"count:poisson"}},"version":[3,1,0]}`,
	`{"version":[3,2,0],"learner":{"learner_model_param":{"base_score":"[5E-1]","num_class":"0","num_feature":"2"},"objective":{"name":"reg:squarederror"},
"gradient_booster":{"model":{"weights":[1.5,-2,0.25]},"name":"gblinear"}}}`,
}

// toUBJ spells a JSON document as UBJSON, its number arrays typed.
func toUBJ(t testing.TB, text string) []byte {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(strings.ReplaceAll(text, "NaN", "1e-45")))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	var b []byte
	text8 := func(s string) {
		b = append(b, 'L')
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	var write func(any)
	write = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			b = append(b, '{')
			for _, k := range slices.Sorted(maps.Keys(v)) {
				text8(k)
				write(v[k])
			}
			b = append(b, '}')
		case []any:
			if len(v) > 0 {
				if _, ok := v[0].(json.Number); ok {
					b = append(b, "[$d#L"...)
					b = binary.BigEndian.AppendUint64(b, uint64(len(v)))
					whole := true
					for _, e := range v {
						f, _ := e.(json.Number).Float64()
						whole = whole && f == math.Trunc(f)
					}
					if whole {
						b[len(b)-11] = 'l'
					}
					for _, e := range v {
						f, _ := e.(json.Number).Float64()
						if whole {
							b = binary.BigEndian.AppendUint32(b, uint32(int32(f)))
						} else {
							b = binary.BigEndian.AppendUint32(b, math.Float32bits(float32(f)))
						}
					}
					return
				}
			}
			b = append(b, "[#U"...)
			b = append(b, byte(len(v)))
			for _, e := range v {
				write(e)
			}
		case string:
			b = append(b, 'S')
			text8(v)
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, 'l')
			b = binary.BigEndian.AppendUint32(b, uint32(n))
		case bool:
			b = append(b, map[bool]byte{true: 'T', false: 'F'}[v])
		}
	}
	write(v)
	return b
}

// TestSeedsLoad holds that the seeds are models, in both forms alike.
func TestSeedsLoad(t *testing.T) {
	for i, s := range seeds {
		a, err := Load([]byte(s))
		if err != nil {
			t.Fatalf("seed %d: %v", i, err)
		}
		b, err := Load(toUBJ(t, s))
		if err != nil {
			t.Fatalf("seed %d as UBJ: %v", i, err)
		}
		if string(a.Body) != string(b.Body) || len(a.Features) != len(b.Features) {
			t.Errorf("seed %d differs between the forms", i)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(load)
}

func FuzzUBJ(f *testing.F) {
	for _, s := range seeds {
		f.Add(toUBJ(f, s))
	}
	f.Fuzz(load)
}
