package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestScore(t *testing.T) {
	f := newFake(t)
	rows := "a,b\n"
	for i := range 25 {
		rows += strings.Repeat("x", i) + ",1\n"
	}
	// Calls of more than 4 rows are too many for this server.
	at := "POST /workspaces/" + ws + "/services/" + prod + "/execute"
	f.answer(at, func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Inputs map[string]struct{ Values []any }
		}
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &body); err != nil {
			t.Error(err)
		}
		if len(body.Inputs["input1"].Values) > 4 {
			w.WriteHeader(413)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(b)))
		f.execute(w, r)
	})
	code, stdout, stderr := f.perform(call{args: []string{"score", write(t, "rows.csv", rows), "-batch", "10"}, terminal: true})
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || len(lines) != 26 || lines[0] != "a,b,Score" || lines[25] != strings.Repeat("x", 24)+",1,24" {
		t.Errorf("%d, %s, %d lines: %s", code, stderr, len(lines), stdout)
	}
	if n := len(f.sent(at)); n != 7+8 { // 10 → 5 → 2 3, 5 → 2 3; then 15 rows by twos
		t.Errorf("%d calls", n)
	}
	if !strings.Contains(stderr, "[####") || !strings.HasSuffix(stderr, "\r") {
		t.Errorf("progress: %q", stderr)
	}
}

func TestScoreMistakes(t *testing.T) {
	const request = `{"Inputs":{"input1":{"ColumnNames":["a"],"Values":[["xyz"]]}},"GlobalParameters":{}}`
	for name, tt := range map[string]struct {
		args, stdin string
		prepare     func(f *fake)
		code        int
		out, want   string
	}{
		"a whole request": {"-input-format json", request, nil, Done, "a,Score\nxyz,3\n", ""},
		"with parameters": {"-input-format json -parameter r=1", request, nil, Usage, "", "its own GlobalParameters"},
		"JSON lines":      {"-input-format json", "{\"a\":\"x\"}\n{\"a\":\"yy\"}\n", nil, Done, "a,Score\nx,1\nyy,2\n", ""},
		"nothing":         {"", "", nil, Failed, "", "the input is empty"},
		"no JSON":         {"-input-format json", "[1]", nil, Failed, "", "row 1 is not a JSON object"},
		"half JSON":       {"-input-format json", `[{"a":1},`, nil, Failed, "", "within its array"},
		"behind JSON":     {"-input-format json", `[{"a":1}]x`, nil, Failed, "", "behind its array"},
		"ragged":          {"", "a,b\n1\n", nil, Failed, "", "record on line 2: wrong number of fields"},
		"a format":        {"-format xml", "a\n", nil, Usage, "", "csv or json"},
		"an input format": {"-input-format xml", "a\n", nil, Usage, "", "csv, tsv or json"},
		"a batch":         {"-batch 0", "a\n", nil, Usage, "", "from 1"},
		"another output":  {"-output o2", "a\n1\n", nil, Usage, "", "output1"},
		"several inputs": {"", "a\n1\n", func(f *fake) {
			f.say("GET /workspaces/"+ws+"/services/"+prod+"/swagger.json", 200, `{"definitions":{"ExecutionInputs":{"properties":{"a":{},"b":{}}}}}`)
		}, Usage, "", "2 inputs"},
		"a bad row later": {"-batch 2", "a\n1\n2\n3\n", func(f *fake) {
			f.answer("POST /workspaces/"+ws+"/services/"+prod+"/execute", func(w http.ResponseWriter, r *http.Request) {
				if b, _ := io.ReadAll(r.Body); strings.Contains(string(b), `"3"`) {
					w.WriteHeader(400)
					io.WriteString(w, `{"error":{"details":[{"code":"InputParseError","message":"row 1 is bad"}]}}`)
				} else {
					r.Body = io.NopCloser(strings.NewReader(string(b)))
					f.execute(w, r)
				}
			})
		}, Failed, "a,Score\n1,1\n2,1\n", "in rows 3 to 3: row 1 is bad (InputParseError)"},
		"a torn answer": {"", "a\n1\n", func(f *fake) {
			f.say("POST /workspaces/"+ws+"/services/"+prod+"/execute", 200, `{"Results":{"output1":{"value":{"ColumnNames":["a","b"],"Values":[["1"]]}}}}`)
		}, Failed, "", "a row of 1 cells under 2 columns"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			if tt.prepare != nil {
				tt.prepare(f)
			}
			code, stdout, stderr := f.perform(call{args: append([]string{"score"}, strings.Fields(tt.args)...), stdin: tt.stdin})
			if code != tt.code || tt.out != "" && stdout != tt.out || !strings.Contains(stderr, tt.want) {
				t.Errorf("%d, %q, %q", code, stdout, stderr)
			}
		})
	}
}
