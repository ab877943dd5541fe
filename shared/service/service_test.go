package service

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/frame"
)

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := NewID()
		if !ValidID(id) || seen[id] {
			t.Fatalf("id %q: valid %v, seen before %v", id, ValidID(id), seen[id])
		}
		seen[id] = true
	}
	for _, bad := range []string{
		"", "0", strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("A", 32), strings.Repeat("g", 32),
		"00000000-0000-0000-0000-00000000", strings.Repeat("0", 31) + "/", strings.Repeat("0", 31) + "\x00", strings.Repeat("é", 16), "../" + strings.Repeat("0", 29),
	} {
		if ValidID(bad) {
			t.Errorf("%q passes for an id", bad)
		}
	}
	valid := true
	n := testing.AllocsPerRun(100, func() { valid = valid && ValidID("0123456789abcdef0123456789abcdef") })
	if !valid || n != 0 {
		t.Errorf("%v allocations per check", n)
	}
}

func TestActIDsFall(t *testing.T) {
	now := time.Now()
	a, b := NewActID(now), NewActID(now)
	if a <= b || !ValidID(a) {
		t.Fatalf("%s then %s", a, b)
	}
}

func TestLimit(t *testing.T) {
	for _, tt := range []struct {
		s    Settings
		want int
	}{
		{Settings{}, 20},
		{Settings{ThrottleLevel: ThrottleHigh}, 20},
		{Settings{ThrottleLevel: ThrottleLow}, 4},
		{Settings{ThrottleLevel: ThrottleHigh, MaxConcurrentCalls: 200}, 200},
		{Settings{MaxConcurrentCalls: 1}, 1},
	} {
		if got := tt.s.Limit(); got != tt.want {
			t.Errorf("%+v allows %d calls at once, want %d", tt.s, got, tt.want)
		}
	}
}

// A deployment's identity is the digest of these bytes. What an older binary
// wrote must be read alike by every newer one, so the names are fixed, and what
// is absent stays absent.
func TestManifestForm(t *testing.T) {
	def := "0.17"
	m := Manifest{
		Format:     1,
		Graph:      json.RawMessage(`{"nodes":{}}`),
		Assets:     []Asset{{Name: "model", Kind: TrainedModel, Digest: "ab", Resource: "churn model [trained model]"}},
		Inputs:     []Port{{Name: "input1", Schema: frame.Schema{{Name: "state", Levels: []string{"KS", "OH"}, Nullable: true}}}},
		Outputs:    []Port{{Name: "output1", Kind: Dataset, Schema: frame.Schema{{Name: "p", Type: frame.Double, Role: frame.Score}}}},
		Parameters: []Parameter{{Name: "rate", Type: ParamDouble, Default: &def}, {Name: "key", Type: ParamSecret}},
		Whole:      true,
	}
	body, err := json.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"format":1,"graph":{"nodes":{}},` +
		`"assets":[{"name":"model","kind":"TrainedModel","digest":"ab","resource":"churn model [trained model]"}],` +
		`"inputs":[{"name":"input1","schema":[{"name":"state","type":"String","levels":["KS","OH"],"nullable":true}]}],` +
		`"outputs":[{"name":"output1","kind":"Dataset","schema":[{"name":"p","type":"Double","role":"score"}]}],` +
		`"parameters":[{"name":"rate","type":"Double","default":"0.17"},{"name":"key","type":"Credential"}],"whole":true}`
	if string(body) != want {
		t.Errorf("manifest\n%s, want\n%s", body, want)
	}
	var back Manifest
	if err := json.Unmarshal(body, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, back); d != "" {
		t.Error(d)
	}
	empty, err := json.Marshal(&Manifest{Format: 1, Graph: json.RawMessage(`{}`)})
	if err != nil || string(empty) != `{"format":1,"graph":{}}` {
		t.Errorf("empty manifest %s, %v", empty, err)
	}
}
