package frame

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSchemaJSON(t *testing.T) {
	s := Schema{
		{Name: "id", Type: String, Role: ID},
		{Name: "state", Type: String, Levels: []string{"KS", "OH"}, Nullable: true},
		{Name: "empty", Type: String, Levels: []string{}},
		{Name: "age", Type: Int32, Optional: true, Missing: []string{"?"}},
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"id","type":"String","role":"id"},{"name":"state","type":"String","levels":["KS","OH"],"nullable":true},` +
		`{"name":"empty","type":"String","levels":[]},{"name":"age","type":"Int32","optional":true,"missing":["?"]}]`
	if string(b) != want {
		t.Errorf("schema as JSON:\n%s\nwant\n%s", b, want)
	}
	var back Schema
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s, back); d != "" {
		t.Errorf("schema does not survive JSON:\n%s", d)
	}
	if err := json.Unmarshal([]byte(`[{"name":"x","type":"Float"}]`), &back); err == nil {
		t.Error("an unknown type was accepted")
	}
}

func TestLayoutRefuses(t *testing.T) {
	for want, s := range map[string]Schema{
		`two columns are called "a"`:                      {{Name: "a"}, {Name: "a", Type: Double}},
		`column "a" has level "x" twice`:                  {{Name: "a", Levels: []string{"x", "y", "x"}}},
		`column "a" has levels but is Double, not String`: {{Name: "a", Type: Double, Levels: []string{"x"}}},
	} {
		if _, err := NewLayout(s); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestNearest(t *testing.T) {
	s := Schema{{Name: "total_day_minutes"}, {Name: "total_day_calls"}, {Name: "state"}, {Name: "x"}}
	for name, want := range map[string]string{
		"Total_Day_Minutes": "total_day_minutes",
		"total_day_minute":  "total_day_minutes",
		"total day calls":   "total_day_calls",
		"stat":              "state",
		"State ":            "state",
		"X":                 "x",
		"churn":             "",
		"":                  "",
		"zz":                "",
	} {
		if got := s.Nearest(name); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}
