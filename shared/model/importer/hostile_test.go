package importer

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/portico-ml/portico/shared/fault"
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

// wide is an ONNX graph that gives back a tensor of so many columns.
func wide(columns uint64) []byte {
	port := func(field protowire.Number, name string) []byte {
		shape := proto(2, proto(1, varint(1, 1)), proto(1, varint(1, columns)))
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
