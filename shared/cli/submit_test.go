package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func TestFileName(t *testing.T) {
	for file, want := range map[string]string{
		"/data/May 2026 (é).csv": "May_2026____.csv", "..": "data", "/": "_", ".hidden": "hidden", "a.csv.gz": "a.csv.gz",
		strings.Repeat("x", 200) + ".csv": strings.Repeat("x", 124) + ".csv",
	} {
		if got := fileName(file); got != want {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
}

func TestWhere(t *testing.T) {
	file := write(t, "place.json", `{"Source":"PostgreSql","Password":"p"}`)
	for text, want := range map[string]string{
		"https://a.test/c/d%20e/f.csv?sv=1&sig=x%2B": `{"BaseLocation":"https://a.test/","RelativeLocation":"c/d e/f.csv","SasBlobToken":"?sv=1\u0026sig=x%2B"}`,
		"http://a.test/c/f.csv":                      `{"BaseLocation":"http://a.test/","RelativeLocation":"c/f.csv"}`,
		"@" + file:                                   `{"Source":"PostgreSql","Password":"p"}`,
		"may.csv":                                    "",
		"c:/may.csv":                                 "",
	} {
		doc, ok, err := where(text)
		got := ""
		if ok {
			b, _ := json.Marshal(doc)
			got = string(b)
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"@" + write(t, "x.json", `{"Password":"secret`), "@/nowhere"} {
		if _, _, err := where(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// The file that the result is saved in says its format.
func TestJobOutputs(t *testing.T) {
	for out, want := range map[string]string{
		"": "{}", "-": "{}", "folder/": "{}", "y.csv": "{}", "y": "{}", "y.ilearner": "{}", "a.b/c": "{}",
		"y.parquet": `{"Output":{"Format":"parquet"}}`, "a/may.2026.csv.gz": `{"Output":{"Format":"csv.gz"}}`, "y.TSV": `{"Output":{"Format":"TSV"}}`,
	} {
		body := map[string]any{}
		s := &session{opt: options{out: out}}
		if err := s.jobOutputs(body); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(body); err != nil || string(got) != want {
			t.Errorf("-out %s: %s, want %s", out, got, want)
		}
	}
}

// What a submission sends: where the input is, parameters, options, and one
// key for all its tries.
func TestSubmit(t *testing.T) {
	const path = "/workspaces/" + ws + "/services/" + prod + "/jobs?api-version=2.0"
	parameters := write(t, "p.json", `{"password":"p","rate":"1","n":2}`)
	place := write(t, "place.json", `{"Source":"Table","Table":"t"}`)
	for line, want := range map[string]string{
		"job submit https://a.test/f.csv?s": `{"GlobalParameters":{},"Input":{"BaseLocation":"https://a.test/","RelativeLocation":"f.csv","SasBlobToken":"?s"}}`,
		"job submit":                        `{"GlobalParameters":{},"Inputs":{}}`,
		"job submit -parameters " + parameters + " -parameter rate=0.5":             `{"GlobalParameters":{"n":2,"password":"p","rate":"0.5"},"Inputs":{}}`,
		"job submit -input a=@" + place + " -input b=http://x.test/b.tsv":           `{"GlobalParameters":{},"Inputs":{"a":{"Source":"Table","Table":"t"},"b":{"BaseLocation":"http://x.test/","RelativeLocation":"b.tsv"}}}`,
		"job submit -output o=@" + place + " -row-errors collect -max-bad-rows 0":   `{"GlobalParameters":{},"Inputs":{},"Options":{"MaxBadRows":0,"RowErrors":"collect"},"Outputs":{"o":{"Source":"Table","Table":"t"}}}`,
		"job submit http://a.test/f.parquet?s -output o=.jsonl.gz":                  `{"GlobalParameters":{},"Input":{"BaseLocation":"http://a.test/","RelativeLocation":"f.parquet","SasBlobToken":"?s"},"Outputs":{"o":{"Format":"jsonl.gz"}}}`,
		"job submit -max-bad-percent 1.5 -extra-columns error":                      `{"GlobalParameters":{},"Inputs":{},"Options":{"ExtraColumns":"error","MaxBadPercent":1.5}}`,
		"job submit -endpoint http://SERVER/workspaces/" + ws + "/services/" + prod: `{"GlobalParameters":{},"Inputs":{}}`,
	} {
		f := newFake(t)
		busy := 0
		keys := map[string]bool{}
		f.answer("POST "+strings.TrimSuffix(path, "?api-version=2.0"), func(w http.ResponseWriter, r *http.Request) {
			keys[r.Header.Get("Idempotency-Key")] = true
			if busy++; busy < 3 {
				w.WriteHeader(503)
				return
			}
			io.WriteString(w, `"`+job+`"`)
		})
		if strings.Contains(line, "-endpoint http") { // of whom only the id is known
			f.say("GET /manage/workspaces", 500, "")
		}
		code, _, stderr := f.perform(call{args: strings.Fields(line)})
		sent := f.sent("POST " + path)
		if code != 0 || len(sent) != 3 || sent[2] != want || len(keys) != 1 || keys[""] {
			t.Errorf("%s: exit code %d, %s\nsent %q\nwant %s", line, code, stderr, sent, want)
		}
	}
	for line, want := range map[string]string{
		"job submit /nowhere/x.csv":                "no such file",
		"job submit /":                             "is no file",
		"job submit a.csv -input b=c":              "not both",
		"job submit -output o=file":                "neither an address nor @place.json",
		"job submit -json -out -":                  "cannot both",
		"job submit -parameters /nowhere":          "no such file",
		"job submit -parameters " + place + "x":    "no such file",
		"job submit -endpoint http://a.test/b/c/d": `there is no endpoint "http://a.test/b/c/d"`,
	} {
		if code, _, stderr := newFake(t).perform(call{args: strings.Fields(line)}); code != Usage || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %s, want %q", line, code, stderr, want)
		}
	}
}

// uploads makes the fake server take uploads.
func uploads(f *fake) map[string]string {
	files := map[string]string{}
	f.answer("POST /manage/workspaces/"+ws+"/uploads", func(w http.ResponseWriter, r *http.Request) {
		var ask struct{ Name, ID string }
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
			f.t.Error(err)
		}
		path := "/blobs/" + ask.ID + "/" + ask.Name
		f.answers["PUT "+path] = func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			files[path] = string(b)
			w.WriteHeader(201)
		}
		f.answers["HEAD "+path] = func(w http.ResponseWriter, _ *http.Request) {
			if content, ok := files[path]; ok {
				w.Header().Set("Content-Length", strconv.Itoa(len(content)))
				return
			}
			w.WriteHeader(404)
		}
		link := fmt.Sprintf(`{"url":"%s%s?sig=%d","baseLocation":"%s/","relativeLocation":"%s","sasBlobToken":"?sig=%d"}`,
			f.URL, path, len(f.requests), f.URL, path[1:], len(f.requests))
		fmt.Fprintf(w, `{"write":%s,"read":%s}`, link, link)
	})
	return files
}

// A file of this machine is uploaded; with an idempotency key to a place of
// its content, once.
func TestSubmitFile(t *testing.T) {
	f := newFake(t)
	files := uploads(f)
	file := write(t, "may 1.csv", "a,b\n1,2\n")
	for range 2 {
		if code, _, stderr := f.perform(call{args: []string{"job", "submit", file, "-idempotency-key", "may"}}); code != 0 {
			t.Fatalf("%d, %s", code, stderr)
		}
	}
	if len(files) != 1 || len(f.sent("PUT ")) != 1 {
		t.Errorf("uploaded %v by %d requests", files, len(f.sent("PUT ")))
	}
	for path, content := range files {
		if content != "a,b\n1,2\n" || !strings.HasSuffix(path, "/may_1.csv") {
			t.Errorf("%s: %q", path, content)
		}
	}
	// Without, to a place of its own.
	if code, _, stderr := f.perform(call{args: []string{"job", "submit", file}}); code != 0 || len(f.sent("PUT ")) != 2 {
		t.Errorf("%d, %s", code, stderr)
	}
}

// With a key alone there is nowhere to upload to: small files go within the
// submission.
func TestSubmitInline(t *testing.T) {
	f := newFake(t)
	set := &Settings{Endpoint: f.URL + "/workspaces/" + ws + "/services/" + prod, Key: "the-key=="}
	file := write(t, "may.tsv", "\ufeffa\tb\n1\tx \"y\n\n\t2\n")
	code, _, stderr := f.perform(call{args: []string{"job", "submit", file}, settings: set})
	if code != Failed || !strings.Contains(stderr, "line 2") {
		t.Errorf("a quote that opens nothing: %d, %s", code, stderr)
	}
	file = write(t, "may.tsv", "\ufeffa\tb\n1\t\"x \"\"y\"\n\t2\n")
	code, _, stderr = f.perform(call{args: []string{"job", "submit", file}, settings: set})
	want := `{"GlobalParameters":{},"Input":{"ColumnNames":["a","b"],"Values":[["1","x \"y"],[null,"2"]]}}`
	if sent := f.sent("POST /workspaces/" + ws + "/services/" + prod + "/jobs?"); code != 0 || len(sent) != 1 || sent[0] != want {
		t.Errorf("%d, %s, %q", code, stderr, sent)
	}
	for _, file := range []string{write(t, "may.parquet", "PAR1"), write(t, "big.csv", strings.Repeat("a\n", maxInline))} {
		if code, _, stderr := f.perform(call{args: []string{"job", "submit", file}, settings: set}); code != Usage || !strings.Contains(stderr, "needs a token") {
			t.Errorf("%s: %d, %s", file, code, stderr)
		}
	}
}
