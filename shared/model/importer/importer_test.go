package importer

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

const churn = "../../../infra/samples/churn/"

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestChurnModels imports both models of the sample with their bindings and
// checks: 5,000 customers, and 500 with missing cells.
func TestChurnModels(t *testing.T) {
	for _, file := range []string{"churn_native.json", "churn_onehot.ubj"} {
		t.Run(file, func(t *testing.T) {
			stem, _, _ := strings.Cut(file, ".")
			r, err := Import(Request{
				Name: file, File: read(t, churn+file),
				Binding: read(t, churn+stem+".binding.json"),
				Check:   read(t, churn+stem+".expected.csv"),
			})
			if err != nil {
				t.Fatal(err)
			}
			if !r.Verified || r.Check.Rows != 5500 || r.Check.Missing < 500 || r.Check.UnknownLevels != 0 {
				t.Errorf("check: %+v", r.Check)
			}
			requires := frame.Schema(r.Model.Requires())
			if len(requires) != 19 {
				t.Errorf("reads %d columns: %q", len(requires), requires.Names())
			}
			for _, name := range []string{"state", "area_code", "international_plan", "voice_mail_plan"} {
				if f := requires[requires.Index(name)]; f.Type != frame.String || len(f.Levels) < 2 {
					t.Errorf("column %s: %+v", name, f)
				}
			}
			if n := len(requires[requires.Index("state")].Levels); n != 51 {
				t.Errorf("%d states", n)
			}
			again, err := Import(Request{Name: "again", File: model.Join(r.Artifact, r.Record), Check: read(t, churn+stem+".expected.csv")})
			if err != nil {
				t.Fatal(err)
			}
			if string(again.Artifact) != string(r.Artifact) {
				t.Error("an exported model imports as another")
			}
			var rec record
			if err := json.Unmarshal(r.Record, &rec); err != nil || rec.Library != "XGBoost 3.2.0" || !rec.Verified || len(rec.Features) == 0 {
				t.Errorf("record %s, %v", r.Record, err)
			}
		})
	}
}

// TestSchemaFrom fills a binding from the training table alone.
func TestSchemaFrom(t *testing.T) {
	for _, file := range []string{"churn_native.json", "churn_onehot.ubj"} {
		stem, _, _ := strings.Cut(file, ".")
		r, err := Import(Request{
			File: read(t, churn+file), Binding: []byte(`{"label": {"column": "churn"}}`),
			SchemaFrom: read(t, churn+"customers_train.csv"), Check: read(t, churn+stem+".expected.csv"),
		})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		l := r.Model.Header().Label
		if l.Positive != "yes" || l.Classes[0] != "no" || l.Type != frame.String {
			t.Errorf("%s: label %+v", file, l)
		}
		for _, want := range []string{"classes taken from column", "positive class by rule"} {
			if !strings.Contains(strings.Join(r.Warnings, "\n"), want) {
				t.Errorf("%s: no warning %q in %q", file, want, r.Warnings)
			}
		}
	}
}

// TestFileAlone imports a model whose file knows its features, types and
// levels: only the label is left to say.
func TestFileAlone(t *testing.T) {
	r, err := Import(Request{File: read(t, churn+"churn_native.json"), Binding: []byte(`{"label": {"classes": [false, true]}, "kind": "two-class"}`)})
	if err != nil {
		t.Fatal(err)
	}
	requires := frame.Schema(r.Model.Requires())
	if f := requires[requires.Index("account_length")]; f.Type != frame.Int64 {
		t.Errorf("account_length is %s", f.Type)
	}
	if f := requires[requires.Index("voice_mail_plan")]; f.Type != frame.String || len(f.Levels) != 2 {
		t.Errorf("voice_mail_plan is %+v", f)
	}
	if l := r.Model.Header().Label; l.Type != frame.Boolean || l.Positive != "True" {
		t.Errorf("label %+v", l)
	}
	if r.Verified || !strings.Contains(string(r.Record), `"verified":false`) {
		t.Error("verified without a check")
	}
	if _, err := Import(Request{File: read(t, churn+"churn_native.json"), Binding: []byte(`{"kind": "regression"}`)}); err != nil {
		t.Errorf("a probability as a regression: %v", err)
	}
}

// TestIndicatorOfTwoColumns leaves open what may be the indicator of two columns.
func TestIndicatorOfTwoColumns(t *testing.T) {
	table := strings.Replace(string(read(t, churn+"customers_train.csv")), "customer_id,state,", "international,state,", 1)
	table = strings.Replace(table, "\nC00001,", "\nplan_yes,", 1)
	_, err := Import(Request{File: read(t, churn+"churn_onehot.ubj"), Binding: []byte(`{"label": {"column": "churn"}}`), SchemaFrom: []byte(table)})
	e := fault.Of(err)
	if err == nil || len(e.More) != 1 || !strings.Contains(e.Msg, "international_plan_yes: may be level") {
		t.Errorf("%v", err)
	}
}

func TestRefusals(t *testing.T) {
	native, onehot := read(t, churn+"churn_native.json"), read(t, churn+"churn_onehot.ubj")
	binding := read(t, churn+"churn_native.binding.json")
	ok, err := Import(Request{File: native, Binding: binding})
	if err != nil {
		t.Fatal(err)
	}
	halfRecord := model.Join(ok.Artifact, ok.Record[:12])
	// All features but the last, which is the indicator of a level.
	full := string(read(t, churn+"churn_onehot.binding.json"))
	forgetful := []byte(full[:strings.LastIndex(full, ",\n  {\"feature\"")] + "]}")
	table := "customer_id,state,churn\nC1,KS,no\nC2,OH,yes\n"
	for _, c := range []struct {
		name string
		r    Request
		want string
		more int // details behind the first
	}{
		{"nothing said", Request{File: native}, "label: give its 2 classes in the order of the trainer's class numbers", 1},
		{"a table without the features", Request{File: onehot, SchemaFrom: []byte(table)}, "and 67 more", 72},
		{"unknown feature", Request{File: native, Binding: []byte(`{"features": [{"feature": "stat"}]}`)}, `has feature "stat", which the model does not; did you mean "state"?`, 0},
		{"feature twice", Request{File: native, Binding: []byte(`{"features": [{"feature": "state"}, {"feature": "state"}]}`)}, `feature "state" twice`, 0},
		{"unknown member", Request{File: native, Binding: []byte(`{"lable": {}}`)}, `unknown field "lable"`, 0},
		{"no JSON", Request{File: native, Binding: []byte(`{} {}`)}, "text follows the document", 0},
		{"bad policy", Request{File: native, Binding: []byte(`{"unknownLevel": "ignore"}`)}, `unknownLevel is "ignore"`, 0},
		{"wrong kind", Request{File: native, Binding: []byte(`{"kind": "multiclass"}`)}, "the binding says multiclass, the file is a two-class model", 0},
		{"too many classes", Request{File: native, Binding: []byte(`{"label": {"classes": ["a", "b", "c"]}}`)}, "label: 3 classes given, the model has 2", 1},
		{"positive elsewhere", Request{File: native, Binding: []byte(`{"label": {"classes": ["a", "b"], "positive": "c"}}`)}, `positive class "c" is none of the classes`, 1},
		{"text as number", Request{File: native, Binding: []byte(strings.Replace(string(binding), `"features": [`, `"features": [{"feature": "state", "type": "String", "encoding": "number"},`, 1))}, `feature "state"`, 0},
		{"feature not covered", Request{File: onehot, Binding: forgetful}, "voice_mail_plan_yes: the binding lists features, but not this one: add it", 1},
		{"no object", Request{File: native, Binding: []byte(`[]`)}, "the binding cannot be read: it is a JSON array", 0},
		{"member of another type", Request{File: native, Binding: []byte(`{"features": [{"feature": 7}]}`)}, "the binding cannot be read: member features.feature is a JSON number", 0},
		{"check without score", Request{File: native, Binding: binding, Check: read(t, churn+"customers_may.csv")}, "the check has no score to compare", 0},
		{"check without column", Request{File: native, Binding: binding, Check: []byte("state,score\nKS,0.5\n")}, `no column "account_length"`, 0},
		{"wrong scores", Request{File: native, Binding: []byte(strings.Replace(string(binding), `"positive": "yes"`, `"positive": "no"`, 1)), Check: read(t, churn+"churn_native.expected.csv")}, "5500 of 11000 differ by more than 1e-6; the worst is row", 0},
		{"pickle", Request{File: []byte("\x80\x04\x95rest")}, "looks like a Python pickle", 0},
		{"PMML", Request{File: []byte("<?xml version='1.0'?>\n<PMML version='4.4'>")}, "looks like PMML", 0},
		{"something", Request{File: []byte("hello")}, "of no format that can be imported", 0},
		{"nothing", Request{}, "of no format that can be imported", 0},
		{"old binary", Request{File: []byte("binf....")}, "old binary format", 0},
		{"dump", Request{File: []byte(`[ { "nodeid": 0, "leaf": 1 } ]`)}, "output of dump_model", 0},
		{"artifact with binding", Request{File: []byte("ilearner"), Binding: []byte("{}")}, "has its binding in it", 0},
		{"artifact with half a record", Request{File: halfRecord}, "the record at its end, 12 bytes, is damaged or cut short", 0},
		{"artifact cut short", Request{File: []byte("ilearner\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")}, "it says", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Import(c.r)
			if err == nil {
				t.Fatal("imported")
			}
			e := fault.Of(err)
			if e.Kind != fault.Package && e.Kind != fault.BadUserArgument {
				t.Errorf("kind %s", e.Kind)
			}
			if !strings.Contains(e.Msg, c.want) {
				t.Errorf("message %q, want %q in it", e.Msg, c.want)
			}
			if len(e.More) != c.more {
				t.Errorf("%d details, want %d: %+v", len(e.More), c.more, e.More)
			}
		})
	}
}
