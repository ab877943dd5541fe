package batch

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

const small = `id,minutes,calls
A,10,1
B,,2
"C, moved
in April",2.5,
`

const smallScored = `id,charge,calls
A,5,1
B,,2
"C, moved
in April",1.25,
`

func TestJob(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", small)
	id, err := r.b.Submit(t.Context(), r.submission(body("")))
	if err != nil {
		t.Fatal(err)
	}
	if s := r.status(id); s.StatusCode != NotStarted || s.Results != nil || s.Details != nil {
		t.Errorf("after submit: %+v", s)
	}
	if err := r.b.Start(t.Context(), ws, endpoint, id, "call1"); err != nil {
		t.Fatal(err)
	}
	if s := r.status(id); s.StatusCode != NotStarted || s.QueuePosition != 1 {
		t.Errorf("after start: %+v", s)
	}
	for r.deliver(JobQueue) || r.deliver(ChunkQueue) {
		r.noSecret()
	}
	s := r.status(id)
	if s.StatusCode != Finished {
		t.Fatalf("status %s: %s", s.StatusCode, details(s))
	}
	if got := readAll(t, r.raw.Blobs, "out.csv"); got != smallScored {
		t.Errorf("output:\n%s\nwant:\n%s", got, smallScored)
	}
	res := s.Results["output1"]
	if res.ConnectionString != nil || res.RelativeLocation == "" || res.SasBlobToken == nil || strings.Contains(*res.SasBlobToken, secret) {
		t.Errorf("result: %+v", res)
	}
	if p := s.Progress; p == nil || p.Chunks != 1 || p.ChunksDone != 1 || p.RowsRead != 3 || p.RowsWritten != 3 || p.MissingCells != 1 || p.BytesDone == 0 {
		t.Errorf("progress: %+v", p)
	}
	if want := (Summary{Workspace: ws, Service: "44444444444444444444444444444444", Endpoint: endpoint, Digest: digest, Rows: 3, MissingCells: 1}); r.usage.calls != 1 || r.usage.last != want {
		t.Errorf("counted %d times, %+v, want %+v", r.usage.calls, r.usage.last, want)
	} else if d := cmp.Diff([]Summary{want}, r.usage.scored); d != "" {
		t.Errorf("told that it scored, before it ended:\n%s", d)
	}
	r.noSecret()
	if n := len(r.index()); n != 0 {
		t.Errorf("%d rows of the active index are left", n)
	}
	if q, err := r.b.queue(t.Context(), ws, endpoint); err != nil || len(q.slots)+len(q.waits) != 0 {
		t.Errorf("the endpoint's queue is not empty: %+v %v", q, err)
	}
	if err := r.b.Cancel(t.Context(), ws, endpoint, id); err != nil {
		t.Errorf("delete of an ended job: %v", err)
	}
	if s := r.status(id); s.StatusCode != Finished {
		t.Errorf("a delete ended a finished job: %s", s.StatusCode)
	}
}

// index lists the active index.
func (r *rig) index() (rows []storage.Entity) {
	r.t.Helper()
	for n := range indexes {
		for e, err := range r.inner.Tables.Query(r.t.Context(), table, activeIndex(n), storage.Range{}) {
			if err != nil {
				r.t.Fatal(err)
			}
			rows = append(rows, e)
		}
	}
	return rows
}

// An output without a place stays with us, and every status call signs anew.
func TestJob_ownResult(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", small)
	id := r.submit(`{"Input":` + ref("in.csv") + `,"Output":null,"GlobalParameters":{"rate":0.5}}`)
	r.drain()
	s := r.status(id)
	if s.StatusCode != Finished {
		t.Fatalf("status %s: %s", s.StatusCode, details(s))
	}
	res := s.Results["output1"]
	if got := readAll(t, r.inner.Blobs, strings.TrimPrefix(res.RelativeLocation, "portico/")); got != smallScored {
		t.Errorf("output:\n%s", got)
	}
	if res.BaseLocation != "https://portico.test/blobs/" || res.SasBlobToken == nil || *res.SasBlobToken != "?sp=r&sig=ours" {
		t.Errorf("result: %+v", res)
	}
}

// However the input is cut, the output is the same bytes.
func TestJob_chunks(t *testing.T) {
	in := rows(1000)
	var want string
	for _, size := range []int64{1 << 30, 20_000, 1000, 173} {
		r := newRig(t)
		r.limits = Limits{ChunkBytes: size, MaxChunkBytes: 1 << 30, Window: 40, RecordBytes: 500}
		r.restart()
		r.put("in.csv", in)
		id := r.submit(body(""))
		r.drain()
		s := r.status(id)
		if s.StatusCode != Finished {
			t.Fatalf("chunks of %d: %s: %s\n%s", size, s.StatusCode, details(s), r.log.String())
		}
		got := readAll(t, r.raw.Blobs, "out.csv")
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("chunks of %d (%d of them): the output differs", size, s.Progress.Chunks)
		}
		if s.Progress.RowsRead != 1000 || s.Progress.RowsWritten != 1000 || s.Progress.ChunksDone != s.Progress.Chunks {
			t.Errorf("chunks of %d: progress %+v", size, s.Progress)
		}
		t.Logf("%d chunks", s.Progress.Chunks)
	}
	if n := strings.Count(want, "\n"); n < 1000 {
		t.Errorf("%d lines", n)
	}
}

// A body that begins with a byte order mark is read as RRS reads it.
func TestSubmit_byteOrderMark(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", small)
	if s := r.status(r.submit("\ufeff" + body(""))); s.StatusCode != NotStarted {
		t.Errorf("the job is %s", s.StatusCode)
	}
}

func TestSubmit_refusals(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", small)
	r.put("in.txt", small)
	in := ref("in.csv")
	for _, tt := range []struct{ name, body, code string }{
		{"empty", "", "RequestIsEmpty"},
		{"no JSON", "{", "RequestBodyInvalid"},
		{"an array", "[]", "RequestBodyInvalid"},
		{"something behind", `{"Input":` + in + `} {}`, "RequestBodyInvalid"},
		{"no input", `{}`, "BatchJobInputsNotSpecified"},
		{"null input", `{"Inputs":{"input1":null}}`, "MissingInputBlobInformation"},
		{"empty reference", `{"Inputs":{"input1":{}}}`, "MissingInputBlobInformation"},
		{"unknown input", `{"Inputs":{"Input1":` + in + `}}`, "InvalidInputNames"},
		{"Input and Inputs", `{"Input":` + in + `,"Inputs":{"input1":` + in + `}}`, "DuplicateInputInBatchCall"},
		{"unknown output", `{"Input":` + in + `,"Outputs":{"Output1":` + ref("o.csv") + `}}`, "InvalidOutputOverrideName"},
		{"output without a blob", `{"Input":` + in + `,"Outputs":{"output1":null}}`, "MissingOutputOverrideSpecification"},
		{"input extension", `{"Input":` + ref("in.txt") + `}`, "InvalidBlobExtension"},
		{"output extension", `{"Input":` + in + `,"Outputs":{"output1":` + ref("out") + `}}`, "InvalidBlobExtension"},
		{"no such blob", `{"Input":` + ref("none.csv") + `}`, "BlobNotFound"},
		{"no blob name", `{"Input":{"ConnectionString":"AccountName=a;AccountKey=a2V5","RelativeLocation":"c"}}`, "InputBlobRelativeLocationInvalid"},
		{"half a reference", `{"Input":{"BaseLocation":"https://a.example/","RelativeLocation":"c/a.csv"}}`, "InvalidBlob"},
		{"connection string", `{"Input":{"ConnectionString":"nonsense","RelativeLocation":"c/a.csv"}}`, "InvalidBlobConnectionString"},
		{"the emulator", `{"Input":{"ConnectionString":"UseDevelopmentStorage=true","RelativeLocation":"c/a.csv"}}`, "InvalidBlobConnectionString"},
		{"parameter unknown", `{"Input":` + in + `,"GlobalParameters":{"x":1}}`, "UnexpectedParameter"},
		{"parameter of wrong type", `{"Input":` + in + `,"GlobalParameters":{"rate":"cheap"}}`, "UserParameterInvalid"},
		{"option", `{"Input":` + in + `,"Options":{"RowErrors":"skip"}}`, "BadParameterValue"},
		{"threshold without collect", `{"Input":` + in + `,"Options":{"MaxBadRows":3}}`, "BadParameterValue"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := r.b.Submit(t.Context(), r.submission(tt.body))
			if !fault.HasCode(err, tt.code) {
				t.Errorf("err = %v, want code %s", err, tt.code)
			}
			if err != nil && (strings.Contains(err.Error(), secret) || fault.KindOf(err).Traits().Status != 400) {
				t.Errorf("err = %v (%s)", err, fault.KindOf(err))
			}
		})
	}
	if n := len(r.index()); n != 0 {
		t.Errorf("refused requests left %d rows", n)
	}
}

func TestSubmit_idempotencyKey(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", small)
	s := r.submission(body(""))
	a, err := r.b.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.b.Submit(t.Context(), s); err != nil || again != a {
		t.Errorf("the same request gave %s, %v, not %s", again, err, a)
	}
	other := s
	other.Body = []byte(body(`{"RowErrors":"collect"}`))
	if _, err := r.b.Submit(t.Context(), other); !fault.Is(err, fault.Conflict) {
		t.Errorf("another request with the key: %v", err)
	}
	elsewhere := s
	elsewhere.Endpoint = "55555555555555555555555555555555"
	if b, err := r.b.Submit(t.Context(), elsewhere); err != nil || b == a {
		t.Errorf("the key of another endpoint gave %s, %v", b, err)
	}
	s.IdempotencyKey = ""
	if b, err := r.b.Submit(t.Context(), s); err != nil || b == a {
		t.Errorf("without a key: %s, %v", b, err)
	}
}

func TestStart(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", small)
	id, err := r.b.Submit(t.Context(), r.submission(body("")))
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range [][2]string{{ws, "66666666666666666666666666666666"}, {"66666666666666666666666666666666", endpoint}} {
		if err := r.b.Start(t.Context(), other[0], other[1], id, "x"); !fault.Is(err, fault.NotFound) {
			t.Errorf("start under another parent: %v", err)
		}
		if _, err := r.b.Status(t.Context(), other[0], other[1], id); !fault.Is(err, fault.NotFound) {
			t.Errorf("status under another parent: %v", err)
		}
		if err := r.b.Cancel(t.Context(), other[0], other[1], id); !fault.Is(err, fault.NotFound) {
			t.Errorf("cancel under another parent: %v", err)
		}
	}
	if err := r.b.Start(t.Context(), ws, endpoint, id, "call1"); err != nil {
		t.Fatal(err)
	}
	if err := r.b.Start(t.Context(), ws, endpoint, id, "call1"); err != nil {
		t.Errorf("the host's repetition of start: %v", err)
	}
	if err := r.b.Start(t.Context(), ws, endpoint, id, "call2"); !fault.HasCode(err, "CannotStartJob") || !fault.Is(err, fault.InvalidOperation) {
		t.Errorf("start twice: %v", err)
	}
	r.drain()
	if s := r.status(id); s.StatusCode != Finished {
		t.Fatalf("status %s: %s", s.StatusCode, details(s))
	}
	if err := r.b.Start(t.Context(), ws, endpoint, id, ""); !fault.HasCode(err, "CannotStartJob") {
		t.Errorf("start of a finished job: %v", err)
	}
	if r.usage.calls != 1 {
		t.Errorf("usage counted %d times", r.usage.calls)
	}
}

// The document, to the member: classic clients read the first three.
func TestStatus_document(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", small)
	id, err := r.b.Submit(t.Context(), r.submission(body("")))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := json.Marshal(r.status(id))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"StatusCode":"NotStarted","Results":null,"Details":null,"CreatedAt":`; !strings.HasPrefix(string(doc), want) {
		t.Errorf("document = %s, want it to begin with %s", doc, want)
	}
}

// A link to the same blob has another signature each time: it is the same
// request.
func TestSubmit_anotherSignature(t *testing.T) {
	r := newRig(t)
	r.put("in.csv", small)
	s := r.submission(body(""))
	a, err := r.b.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	s.Body = bytes.ReplaceAll(s.Body, []byte(`"SasBlobToken":"?sp=rw&`), []byte(`"SasBlobToken":"?se=later&sp=rw&`))
	if again, err := r.b.Submit(t.Context(), s); err != nil || again != a {
		t.Errorf("with other signatures: %s, %v, not %s", again, err, a)
	}
	s.Body = bytes.ReplaceAll(s.Body, []byte("c/out.csv"), []byte("c/other.csv"))
	if _, err := r.b.Submit(t.Context(), s); !fault.Is(err, fault.Conflict) {
		t.Errorf("with another output: %v", err)
	}
}
