package importer

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// numbered makes n texts of a format with one number, from 0, joined by sep.
func numbered(n int, format, sep string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(sep)
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// chain is a LightGBM tree whose tests, one of each feature, ask for one
// category set.
func chain(tests int) string {
	var leaves strings.Builder
	for i := range tests {
		fmt.Fprintf(&leaves, "%d ", ^i)
	}
	return fmt.Sprintf("tree\nversion=v4\nnum_tree_per_iteration=1\nmax_feature_idx=%d\nobjective=regression\nfeature_names=%s\n\n"+
		"Tree=0\nnum_leaves=%d\nnum_cat=1\nsplit_feature=%s\nthreshold=%s\ndecision_type=%s\nleft_child=%s\nright_child=%s -%d\nleaf_value=%s\n"+
		"cat_boundaries=0 2000\ncat_threshold=%s\n\nend of trees\n",
		tests-1, numbered(tests, "f%d", " "), tests+1, numbered(tests, "%d", " "), strings.Repeat("0 ", tests), strings.Repeat("1 ", tests),
		leaves.String(), strings.TrimPrefix(numbered(tests, "%d", " "), "0 "), tests+1, strings.Repeat("1 ", tests+1),
		strings.Repeat("4294967295 ", 2000))
}

// proto writes a field of a message.
func proto(num protowire.Number, messages ...[]byte) []byte {
	var b []byte
	for _, m := range messages {
		b = append(b, m...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

func varint(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

// wide is an ONNX graph that gives back a tensor of so many columns; of 0, of a
// number that it does not say.
func wide(columns uint64) []byte {
	width := varint(1, columns)
	if columns == 0 {
		width = nil
	}
	port := func(field protowire.Number, name string) []byte {
		shape := proto(2, proto(1, varint(1, 1)), proto(1, width))
		return proto(field, proto(1, []byte(name)), proto(2, proto(1, varint(1, 1), shape)))
	}
	node := proto(1, proto(1, []byte("x")), proto(2, []byte("y")), proto(4, []byte("Identity")))
	return slices.Concat(varint(1, 8), proto(7, node, port(11, "x"), port(12, "y")), proto(8, varint(2, 13)))
}

// TestSmallFilesOfMuch are small files that say much: each is refused, for no
// more memory than says so.
func TestSmallFilesOfMuch(t *testing.T) {
	const most = 256 << 20
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"features": {[]byte(`{"learner":{"learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"1048576","num_target":"1"},` +
			`"objective":{"name":"reg:squarederror"},"gradient_booster":{"name":"gbtree","model":{"tree_info":[0],"trees":[{"left_children":[-1],` +
			`"right_children":[-1],"split_indices":[0],"split_conditions":[1],"default_left":[0]}]}}},"version":[2,0,0]}`), "must list all 1048576"},
		"levels": {[]byte(`{"features_info":{"categorical_features":[` + numbered(3000, `{"feature_index":%[1]d,"flat_feature_index":%[1]d}`, ",") +
			`],"cat_features_hash":[` + numbered(3000, `{"hash":%[1]d,"value":"v%[1]d"}`, ",") + `]},"model_info":{"params":{"loss_function":{"type":"RMSE"}}},` +
			`"oblivious_trees":[{"leaf_values":[1],"splits":[]}],"scale_and_bias":[1,[0]]}`), "3000 categorical features"},
		"sets":    {[]byte(chain(300)), "another node's too"},
		"columns": {wide(1 << 40), "reads more than 1048576 features"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Import(Request{File: c.file})
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > most {
			t.Errorf("%s: %d bytes took %d MiB", name, len(c.file), took>>20)
		}
	}
}

// TestMuchIsOpen leaves more open than a refusal lists.
func TestMuchIsOpen(t *testing.T) {
	const features = maxOpen + 500
	file := fmt.Sprintf("tree\nversion=v4\nnum_tree_per_iteration=1\nmax_feature_idx=%d\nobjective=regression\nfeature_names=%s\n\nTree=0\nnum_leaves=1\nleaf_value=1\n\nend of trees\n",
		features-1, numbered(features, "f%d", " "))
	_, err := Import(Request{File: []byte(file), SchemaFrom: []byte("a,b\n1,2\n")})
	e := fault.Of(err)
	if err == nil || len(e.More) != maxOpen || !strings.Contains(e.Msg, fmt.Sprintf("leaves %d open", features)) || !strings.Contains(e.Msg, fmt.Sprintf("; and %d more", features-5)) {
		t.Errorf("%d details, %v", len(e.More), err)
	}
}

// TestNoColumnsLeft is a schema table of the label alone, for an ONNX graph that
// does not say how many columns it reads.
func TestNoColumnsLeft(t *testing.T) {
	_, err := Import(Request{File: wide(0), Binding: []byte(`{"label": {"column": "y"}}`), SchemaFrom: []byte("y\n1\n")})
	if err == nil || !strings.Contains(err.Error(), "how many columns input \"x\" has") {
		t.Error(err)
	}
}

// FuzzImport imports anything: what is imported scores, what is not is refused as
// the file's fault or the author's.
func FuzzImport(f *testing.F) {
	const tree = "Tree=0\nnum_leaves=2\nnum_cat=1\nsplit_feature=0\nthreshold=0\ndecision_type=1\nleft_child=-1\nright_child=-2\nleaf_value=1 2\nleaf_count=3 4\ninternal_count=7\ncat_boundaries=0 1\ncat_threshold=5\n\nend of trees\n"
	lightgbm := "tree\nversion=v4\nnum_tree_per_iteration=1\nmax_feature_idx=1\nobjective=binary sigmoid:1\nfeature_names=a b\n\n" + tree
	table := "a,b,y,score\nx,1,yes,0.7310585786300049\nz,,no,0.8807970779778823\n"
	other := "a,b,y,score\nx,1,yes,0.2689414213699951\nz,,no,0.11920292202211755\n"
	f.Add([]byte(lightgbm), []byte(`{"label":{"column":"y","classes":["no","yes"],"positive":"no"}}`), []byte(other), []byte(other))
	f.Add([]byte(lightgbm), []byte(`{"kind":"regression","unknownLevel":"error","contributions":false,"features":[{"feature":"a","column":"c","encoding":"map","levels":["p",2],"values":[1,5],"missing":3},{"feature":"b","column":"c","encoding":"indicator","level":"p","unknown":1}]}`), []byte(nil), []byte("c,Scored Labels\np,0.8807970779778823\n"))
	f.Add(wide(2), []byte(`{"kind":"multiclass","inputs":{"x":["a","b"]},"label":{"classes":["p","q"]}}`), []byte(nil), []byte("a,b,Scored Labels\n1,2,q\n"))
	f.Add(wide(0), []byte(`{"label":{"column":"y"},"outputs":{"probabilities":"y"}}`), []byte("y,a\n1,2\n"), []byte(nil))
	f.Add([]byte(`{"features_info":{"float_features":[{"feature_index":0,"flat_feature_index":0}],"categorical_features":[{"feature_index":0,"flat_feature_index":1}],"cat_features_hash":[{"hash":7,"value":"a"}]},`+
		`"model_info":{"params":{"loss_function":{"type":"RMSE"}}},"scale_and_bias":[1,[0.5]],"oblivious_trees":[{"leaf_values":[1,2],"leaf_weights":[1,1],"splits":[{"split_type":"OneHotFeature","cat_feature_index":0,"value":7}]}]}`), []byte(nil), []byte(nil), []byte(nil))
	f.Add([]byte(`{"learner":{"feature_names":["a"],"feature_types":["c"],"learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"1","num_target":"1"},`+
		`"objective":{"name":"binary:logistic"},"gradient_booster":{"name":"gbtree","model":{"cats":{"enc":[{"values":[1,2]}]},"tree_info":[0],"trees":[{"left_children":[-1],`+
		`"right_children":[-1],"split_indices":[0],"split_conditions":[1],"default_left":[0]}]}}},"version":[3,1,0]}`), []byte(`{"label":{"classes":[0,1]}}`), []byte(nil), []byte("a,score\n1,0.7310585786300049\n"))
	r, err := Import(Request{File: []byte(lightgbm), Binding: []byte(`{"label":{"classes":["no","yes"]}}`), SchemaFrom: []byte(table)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(model.Join(r.Artifact, r.Record), []byte(nil), []byte(nil), []byte(table))
	f.Fuzz(func(t *testing.T, file, binding, from, check []byte) {
		r, err := Import(Request{File: file, Binding: binding, SchemaFrom: from, Check: check})
		if err != nil {
			if !fault.Is(err, fault.Package) && !fault.Is(err, fault.BadUserArgument) {
				t.Fatalf("neither the file's fault nor the author's: %v", err)
			}
			return
		}
		s, err := r.Model.Bind(r.Model.Requires())
		if err != nil {
			t.Fatalf("the columns that it requires do not serve: %v", err)
		}
		layouts := [2]*frame.Layout{}
		if layouts[0], err = frame.NewLayout(r.Model.Requires()); err != nil {
			t.Skip("no layout")
		}
		if layouts[1], err = frame.NewLayout(s.Fields()); err != nil {
			t.Skip("no layout")
		}
		in, out := layouts[0].New(1), layouts[1].New(1)
		for _, c := range in.Cols {
			c.AppendNull()
		}
		_ = s.Score(s.NewState(), in, out.Cols)
		if x, err := s.Explainer(r.Artifact); err == nil {
			l, err := frame.NewLayout(x.Fields())
			if err != nil {
				return
			}
			if err := x.Explain(x.NewState(), in, l.New(1).Cols); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestLevelsOnce collects the levels of a column of numbers once, however many
// indicators of it a model has.
func TestLevelsOnce(t *testing.T) {
	s, err := readSample([]byte("zip\n20\n7\n20\n"))
	if err != nil {
		t.Fatal(err)
	}
	a, b := s.levels(s.column("zip")), s.levels(s.column("zip"))
	if !slices.Equal(a, []string{"7", "20"}) || &a[0] != &b[0] {
		t.Errorf("%q, and again %q", a, b)
	}
}
