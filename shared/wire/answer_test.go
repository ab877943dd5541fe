package wire

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

func answered(t *testing.T) (*Ports, []*frame.Frame) {
	out1 := service.Port{Name: "output1", Schema: frame.Schema{
		{Name: "age", Type: frame.Int32},
		{Name: `Scored Probabilities for Class "x"`, Type: frame.Double},
		{Name: "when", Type: frame.DateTime},
		{Name: "text", Type: frame.String},
		{Name: "Scored Labels", Type: frame.String, Levels: []string{"<=50K", ">50K & more"}},
		{Name: "member", Type: frame.Boolean},
	}}
	out2 := service.Port{Name: "evaluation", Schema: frame.Schema{{Name: "AUC", Type: frame.Double}}}
	p := NewPorts(&service.Manifest{Outputs: []service.Port{out1, out2}})
	fs := newFrames(t, out1, out2)
	for i, cells := range [][]string{{"39", ""}, {"0.0412", ""}, {"2015-10-09", ""}, {"a \"b\"\\\n\x01é", ""}, {"<=50K", ">50K & more"}, {"true", ""}} {
		for _, s := range cells {
			if err := fs[0].Cols[i].AppendText([]byte(s)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p, fs
}

func TestAnswer(t *testing.T) {
	p, fs := answered(t)
	const (
		names = `"ColumnNames":["age","Scored Probabilities for Class \"x\"","when","text","Scored Labels","member"],`
		types = `"ColumnTypes":["Int32","Double","DateTime","String","String","Boolean"],`
		cells = `"Values":[["39","0.0412","2015-10-09T00:00:00","a \"b\"\\\n\u0001é","<=50K","True"],[null,null,null,null,">50K & more",null]]`
		none  = `"Values":[]`
	)
	for _, tt := range []struct {
		form    Form
		details bool
		want    string
	}{
		{Table, false, `{"Results":{"output1":{"type":"table","value":{` + names + cells + `}},"evaluation":{"type":"table","value":{"ColumnNames":["AUC"],` + none + `}}}}`},
		{Table, true, `{"Results":{"output1":{"type":"table","value":{` + names + types + cells + `}},"evaluation":{"type":"table","value":{"ColumnNames":["AUC"],"ColumnTypes":["Double"],` + none + `}}}}`},
		{Rows, true, `{"Results":{"output1":[` +
			`{"age":"39","Scored Probabilities for Class \"x\"":"0.0412","when":"2015-10-09T00:00:00","text":"a \"b\"\\\n\u0001é","Scored Labels":"<=50K","member":"True"},` +
			`{"age":null,"Scored Probabilities for Class \"x\"":null,"when":null,"text":null,"Scored Labels":">50K & more","member":null}],"evaluation":[]}}`},
	} {
		got := string(p.AppendAnswer([]byte("x"), fs, tt.form, tt.details))
		if diff := cmp.Diff("x"+tt.want, got); diff != "" {
			t.Error(diff)
		}
		if !json.Valid([]byte(got[1:])) {
			t.Errorf("not JSON: %s", got)
		}
	}
	if got, want := string(p.AppendVector(nil, fs[0])), `["39","0.0412","2015-10-09T00:00:00","a \"b\"\\\n\u0001é","<=50K","True"]`; got != want {
		t.Errorf("vector %s, want %s", got, want)
	}
	if got := string(p.AppendVector(nil, fs[1])); got != "[]" {
		t.Errorf("vector of no row: %s", got)
	}
}

func TestAnswerWithoutOutputs(t *testing.T) {
	if got := string(NewPorts(&service.Manifest{}).AppendAnswer(nil, nil, Table, true)); got != `{"Results":{}}` {
		t.Error(got)
	}
}

func TestAppendError(t *testing.T) {
	for _, tt := range []struct {
		err  *fault.Error
		want string
	}{
		{
			fault.New(fault.LibraryExecution, "FailedToEvaluateRScript", "The following error occurred: object '<x>' & \"y\" not found").At("Execute R Script Piped (RPackage)"),
			`{"error":{"code":"LibraryExecutionError","message":"Module execution encountered an internal library error.","details":[` +
				`{"code":"FailedToEvaluateRScript","target":"Execute R Script Piped (RPackage)","message":"The following error occurred: object '<x>' & \"y\" not found"}]}}`,
		},
		{
			fault.New(fault.Unauthorized, "", "Invalid credentials provided."),
			`{"error":{"code":"Unauthorized","message":"Request is unauthorized to access resource.","details":[{"code":"ScoreRequestUnauthorized","message":"Invalid credentials provided."}]}}`,
		},
		{
			&fault.Error{Kind: fault.Throttled, Msg: "Request was throttled for default endpoint. The maximum concurrency for the endpoint is 4."},
			`{"error":{"code":"ServiceUnavailable","message":"Service is temporarily unavailable.","details":[{"code":"RequestThrottled","message":"Request was throttled for default endpoint. The maximum concurrency for the endpoint is 4."}]}}`,
		},
		{
			&fault.Error{Kind: fault.BadUserArgument, Msg: "a", More: []fault.Detail{{Code: "X", Target: "t", Message: "b\xff\n"}}},
			`{"error":{"code":"BadUserArgument","message":"Invalid user argument provided.","details":[{"code":"InputMismatchError","message":"a"},{"code":"X","target":"t","message":"b` + "\uFFFD" + `\n"}]}}`,
		},
		{
			fault.Of(errors.New("password=hunter2")),
			`{"error":{"code":"InternalError","message":"The service encountered an internal error.","details":[{"code":"UnknownError","message":"The service encountered an internal error."}]}}`,
		},
	} {
		got := string(AppendError([]byte("x"), tt.err))
		if diff := cmp.Diff("x"+tt.want, got); diff != "" {
			t.Error(diff)
		}
		if !json.Valid([]byte(got[1:])) {
			t.Errorf("%s is not JSON", got)
		}
	}
}

// FuzzAppendString holds strings to what encoding/json reads back.
func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\n\x00\x1f\x7f<>&\u2028é😀\xff\xc3")
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString([]byte(nil), s)
		if c := appendString(nil, []byte(s)); string(b) != string(c) {
			t.Fatalf("%q as string %q, as bytes %q", s, b, c)
		}
		var back string
		if err := json.Unmarshal(b, &back); err != nil || back != string([]rune(s)) {
			t.Fatalf("%q written as %q reads as %q, %v", s, b, back, err)
		}
		var sc scanner
		sc.b = b
		own, err := sc.string()
		if err != nil || string(own) != back || sc.i != len(b) {
			t.Fatalf("%q: own reader %q, %v; encoding/json %q", b, own, err, back)
		}
	})
}
