package help

import (
	"strings"
	"sync"
	"text/template"

	"github.com/portico-ml/portico/shared/service"
)

// sample is a batch job from beginning to end, in Python without any package:
// it runs as it is printed.
var sample = sync.OnceValue(func() *template.Template { return template.Must(template.New("").Parse(sampleText)) })

const sampleText = `import json, os, time, urllib.error, urllib.parse, urllib.request

API = {{.API}}
KEY = os.environ["KEY"]  # a key of the endpoint
INPUTS = { {{- range $i, $p := .Inputs}}{{if $i}}, {{end}}{{$p}}: os.environ["INPUT{{$i}}"]{{end -}} }  # addresses of blobs, with their signatures
PARAMETERS = {{.Parameters}}

def call(method, path, body=None):
    data = b"" if body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer " + KEY, "Content-Type": "application/json"}
    url = API + path + "?api-version=2.0"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data if method == "POST" else None, headers, method=method)) as answer:
            text = answer.read()
    except urllib.error.HTTPError as refused:  # its document says why
        raise SystemExit(refused.read().decode())
    return json.loads(text) if text else None

def reference(address):
    u = urllib.parse.urlsplit(address)
    return {"BaseLocation": f"{u.scheme}://{u.netloc}/", "RelativeLocation": urllib.parse.unquote(u.path[1:]), "SasBlobToken": "?" + u.query}

job = call("POST", "/jobs", {"Inputs": {name: reference(a) for name, a in INPUTS.items()}, "GlobalParameters": PARAMETERS})
call("POST", f"/jobs/{job}/start")
status = call("GET", f"/jobs/{job}")
while status["StatusCode"] not in ("Finished", "Failed", "Cancelled"):
    time.sleep(1)
    status = call("GET", f"/jobs/{job}")
if status["StatusCode"] != "Finished":
    raise SystemExit(f"{status['StatusCode']}: {status['Details']}")
for name, r in status["Results"].items():
    file = name + os.path.splitext(r["RelativeLocation"])[1]
    urllib.request.urlretrieve(r["BaseLocation"] + urllib.parse.quote(r["RelativeLocation"]) + (r["SasBlobToken"] or ""), file)
    print(file)
`

// python is the sample for the jobs of an endpoint.
func python(api string, m *service.Manifest) string {
	v := struct {
		API, Parameters string
		Inputs          []string
	}{API: string(marshal(api))}
	for _, p := range m.Inputs {
		v.Inputs = append(v.Inputs, string(marshal(p.Name)))
	}
	given := map[string]string{}
	for _, p := range m.Parameters {
		if p.Default == nil {
			given[p.Name] = "VALUE" // nothing goes without
		}
	}
	v.Parameters = string(marshal(given))
	var b strings.Builder
	if err := sample().Execute(&b, v); err != nil {
		panic("help: " + err.Error()) // of strings
	}
	return b.String()
}
