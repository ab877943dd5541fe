package xgboost

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// document is a small model with one split, parts of which tests replace.
const document = `{"learner":{"attributes":{},"feature_names":["a","b"],"feature_types":["float","c"],
"gradient_booster":{"model":{"gbtree_model_param":{"num_parallel_tree":"1","num_trees":"1"},"tree_info":[0],
"trees":[{"categories":[1],"categories_nodes":[],"categories_segments":[],"categories_sizes":[],"default_left":[0,0,0],
"left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_conditions":[0.5,-1,1],"split_indices":[0,0,0],"split_type":[0,0,0],
"tree_param":{"size_leaf_vector":"1"}}]},"name":"gbtree"},
"learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"2","num_target":"1"},
"objective":{"name":"binary:logistic"}},"version":[3,0,0]}`

func TestRefusals(t *testing.T) {
	deep := strings.Repeat("[", 1_000_000)
	for _, c := range []struct{ name, old, new, want string }{
		{"whole", "", "", ""},
		{"cut short", `}},"version":[3,0,0]}`, "", "expected a comma"},
		{"followed by text", `[3,0,0]}`, `[3,0,0]}x`, "text follows the document"},
		{"too many features", `"num_feature":"2"`, `"num_feature":"2000000000"`, "2000000000 features: the limit is"},
		{"negative features", `"num_feature":"2"`, `"num_feature":"-1"`, "-1 features"},
		{"features as text", `"num_feature":"2"`, `"num_feature":"two"`, `"two" is not an integer`},
		{"feature beyond int32", `"num_feature":"2"`, `"num_feature":"9223372036854775808"`, "is not an integer"},
		{"another number of names", `["a","b"]`, `["a"]`, "1 feature names for 2 features"},
		{"another number of types", `["float","c"]`, `["float"]`, "1 feature types for 2 features"},
		{"classes", `"num_class":"0"`, `"num_class":"100000"`, "100000 outputs: the limit is"},
		{"two targets", `"num_target":"1"`, `"num_target":"2"`, "2 targets"},
		{"base score as text", `"5E-1"`, `"half"`, `base_score is "half"`},
		{"base score NaN", `"5E-1"`, `"NaN"`, `base_score is "NaN"`},
		{"base score hexadecimal", `"5E-1"`, `"0x1p-1"`, `base_score is`},
		{"base score out of range", `"5E-1"`, `"2E0"`, "base_score 2 does not fit objective binary:logistic"},
		{"two base scores", `"5E-1"`, `"[5E-1,5E-1]"`, "2 base scores for 1 outputs"},
		{"no base score", `"base_score":"5E-1",`, "", `base_score is ""`},
		{"objective", "binary:logistic", "binary:magic", `objective "binary:magic"`},
		{"multi-class with one class", "binary:logistic", "multi:softprob", "with 1 classes"},
		{"gblinear", `"name":"gbtree"`, `"name":"gblinear"`, "0 weights for"},
		{"another booster", `"name":"gbtree"`, `"name":"forest"`, `booster "forest"`},
		{"dart without weights", `"name":"gbtree"`, `"name":"dart"`, "weight_drop has 0 entries for 1 trees"},
		{"vector leaves", `"size_leaf_vector":"1"`, `"size_leaf_vector":"3"`, "vector leaves"},
		{"tree of another output", `"tree_info":[0]`, `"tree_info":[7]`, "tree 0: output 7 of 1"},
		{"tree of a negative output", `"tree_info":[0]`, `"tree_info":[-1]`, "output -1 of 1"},
		{"tree_info too long", `"tree_info":[0]`, `"tree_info":[0,0]`, "tree_info has 2 entries for 1 trees"},
		{"no nodes", `"left_children":[1,-1,-1]`, `"left_children":[]`, "tree 0: has no nodes"},
		{"columns of other lengths", `"right_children":[2,-1,-1]`, `"right_children":[2]`, "right_children has 1 entries for 3 nodes"},
		{"cycle", `"left_children":[1,-1,-1]`, `"left_children":[0,-1,-1]`, "child 0 is reached twice"},
		{"shared child", `"left_children":[1,-1,-1]`, `"left_children":[2,-1,-1]`, "child 2 is reached twice"},
		{"child outside", `"left_children":[1,-1,-1]`, `"left_children":[9,-1,-1]`, "child 9 of 3 nodes"},
		{"child beyond int32", `"left_children":[1,-1,-1]`, `"left_children":[4294967296,-1,-1]`, "out of range"},
		{"feature outside", `"split_indices":[0,0,0]`, `"split_indices":[2,0,0]`, "tests feature 2 of 2"},
		{"NaN threshold", `[0.5,-1,1]`, `[NaN,-1,1]`, "threshold is not a number"},
		{"NaN leaf", `[0.5,-1,1]`, `[0.5,-1,NaN]`, "leaf value is NaN"},
		{"infinite leaf", `[0.5,-1,1]`, `[0.5,1e39,1]`, "leaf value is +Inf"},
		{"split type", `"split_type":[0,0,0]`, `"split_type":[2,0,0]`, "split type 2"},
		{"categories missing", `"split_type":[0,0,0]`, `"split_type":[1,0,0]`, "its categories are missing"},
		{"categories outside", `"categories_nodes":[],"categories_segments":[],"categories_sizes":[]`, `"categories_nodes":[0],"categories_segments":[0],"categories_sizes":[9]`, "outside the list"},
		{"categories overlap", `"categories_nodes":[],"categories_segments":[],"categories_sizes":[]`, `"categories_nodes":[0,1],"categories_segments":[0,0],"categories_sizes":[1,1]`, "outside the list"},
		{"segments without nodes", `"categories_segments":[]`, `"categories_segments":[0]`, "0 category nodes have 1 segments"},
		{"text for a number", `[0.5,-1,1]`, `["a",-1,1]`, "expected a number"},
		{"no learner", `{"learner":`, `{"lerner":`, "neither JSON nor UBJSON"},
		{"deep nesting in what is skipped", `"attributes":{}`, `"other":` + deep, "nesting is too deep"},
		{"stray bracket", `"attributes":{}`, `"other":]`, "a bracket closes nothing"},
		{"no UTF-8", `["a","b"]`, "[\"\xff\",\"b\"]", "not UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(document, c.old, c.new, 1)
			if c.name != "whole" && text == document {
				t.Fatal("the test replaces nothing")
			}
			_, err := Load([]byte(text))
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("loaded")
			}
			if e := fault.Of(err); e.Kind != fault.Package || !strings.Contains(e.Msg, c.want) {
				t.Errorf("%s %q, want %q", e.Kind, e.Msg, c.want)
			}
		})
	}
}

// mutations yields damaged forms of a file: cut short, bytes changed, lengths
// raised, numbers replaced.
func mutations(file []byte, yield func(name string, b []byte)) {
	for _, n := range []int{0, 1, 2, 10, len(file) / 3, len(file) / 2, len(file) - 1} {
		yield("cut at "+strconv.Itoa(n), file[:n])
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		b := bytes.Clone(file)
		for range 1 + rng.IntN(8) {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
		yield("noise "+strconv.Itoa(i), b)
	}
	for at := range file { // UBJSON lengths: L and eight bytes
		if file[at] != 'L' || at+9 > len(file) || rng.IntN(1+len(file)/2000) != 0 {
			continue
		}
		for _, v := range []uint64{1 << 63, 1<<63 - 1, 1 << 40, uint64(len(file)), 1 << 20} {
			b := bytes.Clone(file)
			binary.BigEndian.PutUint64(b[at+1:], v)
			yield("length at "+strconv.Itoa(at), b)
		}
	}
	for _, pair := range [][2]string{{`"1"`, `"2147483647"`}, {"-1", "2147483647"}, {"[0", "[" + strings.Repeat("[", 1000)}, {":[", ":[{}," + strings.Repeat("{},", 5000)}} {
		yield(pair[0], bytes.ReplaceAll(file, []byte(pair[0]), []byte(pair[1])))
	}
}

// TestHostileFiles loads damaged files. Each is refused, or loads into a model
// that can be scored; none takes more memory than sixteen times its size.
func TestHostileFiles(t *testing.T) {
	refused, loaded := 0, 0
	for _, name := range []string{"3.2.0/partition.json", "3.2.0/partition.ubj", "3.2.0/oneleaf.ubj", "3.2.0/dart.ubj", "2.1.4/softprob.json", "1.7.6/missing.ubj"} {
		file := read(t, golden+"/"+name)
		mutations(file, func(what string, b []byte) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			m, err := Load(b)
			runtime.ReadMemStats(&after)
			// The constant is what a model takes that has almost no bytes.
			if took := after.TotalAlloc - before.TotalAlloc; took > 16*uint64(len(b))+64<<10 {
				t.Errorf("%s, %s: %d bytes took %d", name, what, len(b), took)
			}
			if err != nil {
				refused++
				if e := fault.Of(err); e.Kind != fault.Package {
					t.Errorf("%s, %s: %v", name, what, err)
				}
				return
			}
			loaded++
			e, newSession, err := open(m)
			if err != nil {
				t.Fatalf("%s, %s: loads, but does not open: %v", name, what, err)
			}
			if e.Features() < 1<<16 {
				margins(e, newSession, [][]float64{make([]float64, e.Features())}, 1)
			}
		})
	}
	t.Logf("%d refused, %d loaded", refused, loaded)
	if refused < 500 || loaded < 50 {
		t.Errorf("%d refused, %d loaded: the damage is not of both kinds", refused, loaded)
	}
}

// ubj spells UBJSON: numbers become bytes, runes bytes.
func ubj(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case int:
			b = append(b, byte(p))
		}
	}
	return b
}

func TestUBJReader(t *testing.T) {
	ints := func(r *ubjReader) (any, error) { return r.ints() }
	floats := func(r *ubjReader) (any, error) { return r.floats() }
	skip := func(r *ubjReader) (any, error) { return nil, r.skip() }
	text := func(r *ubjReader) (any, error) { return r.text() }
	for _, c := range []struct {
		name string
		b    []byte
		read func(*ubjReader) (any, error)
		want string // of a value, or in an error
	}{
		{"typed", ubj("[$i#i", 3, 1, 0xff, 3), ints, "[1 -1 3]"},
		{"counted", ubj("[#i", 2, "i", 5, "I", 1, 0), ints, "[5 256]"},
		{"open", ubj("[U", 200, "NT", "]"), ints, "[200 1]"},
		{"floats", ubj("[$d#U", 1, 0x3f, 0x80, 0, 0), floats, "[1]"},
		{"integers as floats", ubj("[$l#U", 1, 0, 0, 1, 0), floats, "[256]"},
		{"string", ubj("Si", 2, "ab"), text, "ab"},
		{"character", ubj("Cx"), text, "x"},
		{"skip all", ubj("{i", 1, "a[Zi", 1, "Hi", 2, "1e", "{}", "]i", 1, "b[$d#i", 1, 0, 0, 0, 0, "}"), skip, "<nil>"},
		{"no elements of no size", ubj("[$Z#L", "\x7f\xff\xff\xff\xff\xff\xff\xff"), skip, "not a number"},
		{"typed without count", ubj("[$i", 1, 2, "]"), ints, "has no count"},
		{"count beyond the file", ubj("[$i#L", "\x00\x00\x00\x00\x00\x00\x00\x05", 1), ints, "a length exceeds the file"},
		{"count times size beyond the file", ubj("[$D#i", 2, "12345678"), floats, "a length exceeds the file"},
		{"negative count", ubj("[#i", 0xff), ints, "a length exceeds the file"},
		{"text as number", ubj("[$C#i", 1, "a"), ints, "wrong type"},
		{"string longer than the file", ubj("Si", 9, "ab"), text, "a length exceeds the file"},
		{"unknown marker", ubj("q"), skip, "unknown type marker"},
		{"no end", ubj("[i", 1), ints, "the file ends early"},
		{"deep", bytes.Repeat([]byte("["), 1_000_000), skip, "nesting is too deep"},
		{"deep objects", bytes.Repeat([]byte("{i\x01a"), 100_000), skip, "nesting is too deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &ubjReader{b: c.b}
			v, err := c.read(r)
			got := fmt.Sprint(v)
			if err != nil {
				got = err.Error()
			} else if end := r.end(); end != nil {
				got = end.Error()
			}
			if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
