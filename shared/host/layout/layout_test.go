package layout

import (
	"bufio"
	"io/fs"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// repository is the script root that staging makes of the sources.
func repository(t *testing.T) fstest.MapFS {
	t.Helper()
	root := fstest.MapFS{}
	src := os.DirFS("../../..")
	add := func(from, to string) {
		b, err := fs.ReadFile(src, from)
		if err != nil {
			t.Fatal(err)
		}
		root[to] = &fstest.MapFile{Data: b}
	}
	add("host.json", "host.json")
	files, err := fs.Glob(src, "functions/*/function.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no functions", err)
	}
	for _, f := range files {
		add(f, strings.TrimPrefix(f, "functions/"))
	}
	return root
}

func TestRepository(t *testing.T) {
	if _, err := Read(repository(t)); err != nil {
		t.Fatal(err)
	}
}

// TestOwners asks for every address of the corpus: the first match is its
// owner, and there is no second match.
func TestOwners(t *testing.T) {
	app, err := Read(repository(t))
	if err != nil {
		t.Fatal(err)
	}
	corpus, err := os.Open("testdata/urls.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer corpus.Close()
	asked := map[string]bool{}
	for sc := bufio.NewScanner(corpus); sc.Scan(); {
		fields := strings.Fields(sc.Text())
		if len(fields) != 3 || fields[0] == "#" {
			continue
		}
		method, want := strings.ToLower(fields[0]), fields[2]
		u, err := url.Parse(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		got := "-"
		if f, ok := app.Find(u); ok && slices.Contains(f.Trigger.Methods, method) {
			got = f.Name
		}
		if got != want {
			t.Errorf("%s %s goes to %s, not %s", fields[0], u, got, want)
		}
		asked[got] = true
		matches := 0
		for _, f := range app.Functions {
			if f.Trigger.Type == HTTPTrigger && f.Route.Match(u) {
				matches++
			}
		}
		if matches > 1 {
			t.Errorf("%s matches %d routes", u, matches)
		}
	}
	for _, f := range app.Functions {
		if f.Trigger.Type == HTTPTrigger && !asked[f.Name] {
			t.Errorf("the corpus has no address of %s", f.Name)
		}
	}
}

// TestRefusals breaks one thing at a time in a root that is otherwise good.
func TestRefusals(t *testing.T) {
	const http = `{"bindings":[{"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","methods":["get"],"route":"ROUTE"},{"type":"http","direction":"out","name":"res"}]}`
	const queue = `{"bindings":[{"type":"queueTrigger","direction":"in","name":"msg","queueName":"NAME","connection":"AzureWebJobsStorage"}]}`
	route := func(r string) string { return strings.Replace(http, "ROUTE", r, 1) }
	edit := func(old, replacement string) func(fstest.MapFS) {
		return func(fsys fstest.MapFS) {
			before := string(fsys["host.json"].Data)
			after := strings.Replace(before, old, replacement, 1)
			if before == after {
				t.Fatalf("host.json has no %s", old)
			}
			fsys["host.json"] = &fstest.MapFile{Data: []byte(after)}
		}
	}
	file := func(name, text string) func(fstest.MapFS) {
		return func(fsys fstest.MapFS) { fsys[path.Join(name, "function.json")] = &fstest.MapFile{Data: []byte(text)} }
	}
	tests := []struct {
		name   string
		breaks func(fstest.MapFS)
		want   string
	}{
		{"no host.json", func(f fstest.MapFS) { delete(f, "host.json") }, "host.json"},
		{"misspelt key", edit(`"routePrefix"`, `"routeprefx"`), "routeprefx"},
		{"limits of the host's", edit(`"routePrefix": ""`, `"routePrefix": "", "maxConcurrentRequests": 100`), "maxConcurrentRequests"},
		{"prefix", edit(`"routePrefix": ""`, `"routePrefix": "api"`), "routePrefix"},
		{"no prefix given", edit(`"routePrefix": ""`, ``), "routePrefix"},
		{"envelopes for HTTP", edit(`"enableProxyingHttpRequest": true`, `"enableProxyingHttpRequest": false`), "enableProxyingHttpRequest"},
		{"short timeout", edit(`"01:00:00"`, `"00:30:00"`), "functionTimeout"},
		{"raw messages", edit(`"base64"`, `"none"`), "messageEncoding"},
		{"eager redelivery", edit(`"visibilityTimeout": "00:00:30"`, `"visibilityTimeout": "00:00:00"`), "visibilityTimeout"},
		{"low dequeue count", edit(`"maxDequeueCount": 10`, `"maxDequeueCount": 3`), "maxDequeueCount"},
		{"batch too large", edit(`"batchSize": 2`, `"batchSize": 33`), "batchSize"},
		{"another executable", edit(`"defaultExecutablePath": "handler"`, `"defaultExecutablePath": "bash"`), "description"},

		{"root catch-all", file("extra", route("{*rest}")), "matches anything at the root"},
		{"open parameter at the root", file("extra", route("{name}")), "matches anything at the root"},
		{"a trigger's address", file("extra", route("{x:alpha}")), "where the host delivers envelopes"},
		{"a trigger's name", file("extra", route("besjob")), "where the host delivers envelopes"},
		{"a route of another function's", file("extra", route("manage/x")), "can match one URL"},
		{"an optional segment", file("extra", route("health/{more?}")), "can match one URL"},
		{"admin", file("extra", route("admin/x")), "begins with admin"},
		{"runtime", file("extra", route("runtimes/x")), "begins with admin or runtime"},
		{"empty route", file("extra", route("")), "empty route"},
		{"slash", file("extra", route("/extra")), "slash"},
		{"unknown constraint", file("extra", route("extra/{id:guid}")), "not known"},
		{"catch-all in the middle", file("extra", route("extra/{*a}/b")), "not the last"},
		{"bad regex", file("extra", route("extra/{a:regex([)}")), "missing closing"},
		{"keys of the host's", file("extra", strings.Replace(route("extra"), "anonymous", "function", 1)), "anonymous"},
		{"methods in upper case", file("extra", strings.Replace(route("extra"), `"get"`, `"GET"`, 1)), "method"},
		{"no methods", file("extra", strings.Replace(route("extra"), `["get"]`, `[]`, 1)), "no methods"},
		{"an output binding", file("extra", strings.Replace(route("extra"), `]}`, `,{"type":"queue","direction":"out","name":"q","queueName":"runs","connection":"AzureWebJobsStorage"}]}`, 1)), "binding type"},
		{"no response", file("extra", `{"bindings":[{"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","methods":["get"],"route":"extra"}]}`), "exactly one httpTrigger and one http"},
		{"no trigger", file("extra", `{"bindings":[]}`), "0 triggers"},
		{"misspelt binding key", file("extra", strings.Replace(queue, "queueName", "queuename2", 1)), "queuename2"},
		{"misspelt trigger", file("extra", strings.Replace(queue, "queueTrigger", "queTrigger", 1)), "queTrigger"},
		{"a queue of another name", file("extra", strings.Replace(queue, "NAME", "other", 1)), "not the function's name"},
		{"illegal queue name", file("extra", strings.Replace(queue, "NAME", "a_b", 1)), "not legal"},
		{"another account", file("extra", strings.NewReplacer("NAME", "extra", `"AzureWebJobsStorage"`, `"Other"`).Replace(queue)), "connection"},
		{"blob bytes", file("extra", `{"bindings":[{"type":"blobTrigger","direction":"in","name":"b"}]}`), "blobTrigger"},
		{"five fields", file("extra", `{"bindings":[{"type":"timerTrigger","direction":"in","name":"t","schedule":"*/2 * * * *"}]}`), "5 fields"},
		{"folder name", file("Extra", strings.Replace(queue, "NAME", "Extra", 1)), "folder"},
		{"binding name", file("extra", strings.Replace(strings.Replace(queue, "NAME", "extra", 1), `"msg"`, `"m_g"`, 1)), "binding name"},
		{"trailing text", file("extra", strings.Replace(queue, "NAME", "extra", 1)+"{}"), "follows"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := repository(t)
			tt.breaks(root)
			_, err := Read(root)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	good := repository(t)
	file("extra", strings.Replace(queue, "NAME", "extra", 1))(good)
	file("more", route("more/{id:int}"))(good)
	if _, err := Read(good); err != nil {
		t.Errorf("a good addition was refused: %v", err)
	}
}

func TestSchedule(t *testing.T) {
	at := time.Date(2026, 11, 23, 1, 5, 30, 500, time.UTC) // a Monday
	tests := []struct{ schedule, want string }{
		{"0 */2 * * * *", "2026-11-23T01:06:00Z"},
		{"*/10 * * * * *", "2026-11-23T01:05:40Z"},
		{"30 5 1 * * *", "2026-11-24T01:05:30Z"},
		{"0 0 0 1 * *", "2026-12-01T00:00:00Z"},
		{"0 0 12 * * 6,0", "2026-11-28T12:00:00Z"},
		{"0 10-20/5 * * 2 *", "2027-02-01T00:10:00Z"},
		{"0 0 0 29 2 *", "2028-02-29T00:00:00Z"},
	}
	for _, tt := range tests {
		s, err := ParseSchedule(tt.schedule)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(at).Format(time.RFC3339); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.schedule, got, tt.want)
		}
	}
	for _, bad := range []string{"", "* * * * *", "60 * * * * *", "*/0 * * * * *", "5-2 * * * * *", "x * * * * *", "* * * 0 * *"} {
		if _, err := ParseSchedule(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	s, err := ParseSchedule("0 0 0 31 2 *")
	if err != nil || !s.Next(at).IsZero() {
		t.Error("the 31st of February comes")
	}
}

func TestTimeSpan(t *testing.T) {
	for s, want := range map[string]time.Duration{"01:00:00": time.Hour, "00:00:30": 30 * time.Second, "2.03:04:05": 51*time.Hour + 4*time.Minute + 5*time.Second} {
		if got, err := TimeSpan(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, bad := range []string{"", "1h", "00:61:00", "x.00:00:00"} {
		if _, err := TimeSpan(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
