package importer

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/model/xgboost"
)

// TestGoldenAnswers imports every golden model of XGBoost with a check made of
// the answers of XGBoost's predict: each objective's transform, and the score
// columns of each kind.
func TestGoldenAnswers(t *testing.T) {
	const golden = "../testdata/xgboost/"
	files, err := filepath.Glob(golden + "[0-9]*/*.[ju]*")
	if err != nil || len(files) < 200 {
		t.Fatalf("%d golden models, %v", len(files), err)
	}
	for _, file := range files {
		version, name := filepath.Base(filepath.Dir(file)), strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		t.Run(version+"/"+filepath.Base(file), func(t *testing.T) {
			model := read(t, file)
			inputs := golden + "inputs/" + name + ".csv"
			if m, _ := filepath.Glob(inputs); m == nil {
				inputs = golden + "inputs/objectives.csv"
			}
			rows := strings.Split(strings.TrimSpace(string(read(t, inputs))), "\n")
			answers := strings.Split(strings.TrimSpace(string(read(t, golden+version+"/"+name+".csv"))), "\n")
			m, err := xgboost.Load(model)
			if err != nil {
				t.Fatal(err)
			}
			classes, label, features := "", "", []string{}
			for k := range m.NumClasses {
				classes += fmt.Sprintf(`, "%d"`, k)
			}
			if classes != "" {
				label = `"label": {"classes": [` + classes[2:] + `]}, `
			}
			for _, f := range m.Features { // codes come as numbers here
				features = append(features, `{"feature": "`+f.Name+`", "type": "Double", "encoding": "number"}`)
			}
			var b strings.Builder
			b.WriteString(rows[0] + "," + scores(m.NumClasses, name) + "\n")
			outputs := strings.Count(answers[0], "margin")
			for i := range rows[1:] {
				b.WriteString(rows[i+1])
				for _, a := range strings.Split(answers[i+1], ",")[outputs:] {
					if name == "softmax" {
						a = strings.TrimSuffix(a, ".0")
					}
					b.WriteString("," + strconv.Quote(a))
				}
				b.WriteString("\n")
			}
			r, err := Import(Request{
				File: model, Check: []byte(b.String()),
				Binding: []byte(`{` + label + `"features": [` + strings.Join(features, ",") + `]}`),
			})
			if name == "logitraw" { // predict answers the margin, the model its probability
				if err == nil || !strings.Contains(strings.Join(m.Warnings, "\n"), "logistic of the margin") {
					t.Errorf("margins passed for probabilities: %v, %q", err, m.Warnings)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !r.Verified || r.Check.Rows != 1000 {
				t.Errorf("check %+v", r.Check)
			}
		})
	}
}

// scores is the header of a case's answers.
func scores(classes int, name string) string {
	switch {
	case name == "softmax":
		return "Scored Labels"
	case classes > 2:
		var names []string
		for k := range classes {
			names = append(names, fmt.Sprintf(`"Scored Probabilities for Class ""%d"""`, k))
		}
		return strings.Join(names, ",")
	case classes == 2:
		return "Scored Probabilities"
	}
	return "score"
}
