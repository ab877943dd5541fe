package batch

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

const dropKey = ws + "/tariff/may.csv"

func (r *rig) dropFile(body string) {
	r.t.Helper()
	if _, err := r.inner.Drop.Put(r.t.Context(), dropKey, []byte(body), nil, storage.Condition{}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) tell() {
	r.t.Helper()
	s := r.submission("")
	s.IdempotencyKey = ""
	r.repeat("drop", func() error { return r.b.Drop(r.t.Context(), Dropped{Submission: s, Key: dropKey}) })
}

// answers reads what is in container dropdone, by the name behind the job.
func (r *rig) answers() map[string]string {
	r.t.Helper()
	found := make(map[string]string)
	for info, err := range r.inner.DropDone.List(r.t.Context(), dropKey+"/") {
		if err != nil {
			r.t.Fatal(err)
		}
		rest := strings.TrimPrefix(info.Key, dropKey+"/")
		found[rest] = readAll(r.t, r.inner.DropDone, info.Key)
	}
	return found
}

func receiptOf(t *testing.T, answers map[string]string, job string) receiptDoc {
	t.Helper()
	var doc receiptDoc
	if err := json.Unmarshal([]byte(answers[job+"/receipt.json"]), &doc); err != nil {
		t.Fatalf("receipt of %s: %v in %v", job, err, answers)
	}
	return doc
}

func TestDrop(t *testing.T) {
	r := newRig(t)
	r.dropFile(strings.ReplaceAll(dirty, "10,1", "100,1"))
	for range 3 { // the event comes as often as it likes
		r.tell()
	}
	r.drain()
	r.tell()
	r.drain()
	if r.usage.calls != 1 {
		t.Errorf("%d jobs were made of one file", r.usage.calls)
	}
	info, err := r.inner.Drop.Head(t.Context(), dropKey)
	if err != nil {
		t.Fatal(err)
	}
	id := dropID(ws, "44444444444444444444444444444444", dropKey, info.ETag)
	got := r.answers()
	if len(got) != 3 {
		t.Errorf("answers: %v", got)
	}
	if want := "id,charge,calls\nA,17,1\n\"C, moved\nin April\",0.42500000000000004,\nF,1.36,4\nG,2.72,5\nI,10.88,7\n"; got[id+"/output1.csv"] != want {
		t.Errorf("result:\n%s\nwant:\n%s", got[id+"/output1.csv"], want)
	}
	if want := strings.ReplaceAll(dirtyErrors, "10,1", "100,1"); got[id+"/errors.csv"] != want {
		t.Errorf("errors:\n%s", got[id+"/errors.csv"])
	}
	doc := receiptOf(t, got, id)
	if doc.File != dropKey || doc.Job != id || doc.Status != Finished || doc.RowsRead != 9 || doc.Written != 5 || doc.Bad != 4 || strings.Join(doc.Files, " ") != "output1.csv errors.csv" {
		t.Errorf("receipt: %+v", doc)
	}

	// Written again it is another file, with answers of its own.
	r.dropFile("id,minutes\nA,1\n")
	r.tell()
	r.drain()
	if got := r.answers(); len(got) != 5 { // and no error file
		t.Errorf("answers: %v", got)
	}
}

// A file that cannot be scored is answered with the reason.
func TestDrop_unreadable(t *testing.T) {
	r := newRig(t)
	r.dropFile("id,Minutes\nA,1\n")
	r.tell()
	r.drain()
	info, err := r.inner.Drop.Head(t.Context(), dropKey)
	if err != nil {
		t.Fatal(err)
	}
	got := r.answers()
	doc := receiptOf(t, got, dropID(ws, "44444444444444444444444444444444", dropKey, info.ETag))
	if len(got) != 1 || doc.Status != Failed || !strings.Contains(doc.Details, `the file has no column "minutes"`) {
		t.Errorf("answers: %v", got)
	}

	if err := r.b.RefuseDrop(t.Context(), dropKey, fault.New(fault.NotFound, "WebServiceNotFound", "the workspace has no service %q", "tariff")); err != nil {
		t.Fatal(err)
	}
	doc = receiptOf(t, r.answers(), dropID(ws, "tariff", dropKey, info.ETag))
	if doc.Status != Failed || doc.Details != `WebServiceNotFound: the workspace has no service "tariff"` {
		t.Errorf("receipt: %+v", doc)
	}

	if err := r.inner.Drop.Delete(t.Context(), dropKey, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	r.tell() // about a file that is gone: nothing to do
	if err := r.b.RefuseDrop(t.Context(), dropKey, fault.New(fault.NotFound, "", "x")); err != nil {
		t.Error(err)
	}
}

// Every storage call on the way from the event to the receipt fails in turn.
func TestDrop_everyCall(t *testing.T) {
	calm := newRig(t)
	calm.dropFile(dirty)
	calm.tell()
	calm.drain()
	want := len(calm.store.Calls())
	for n := 1; n <= want; n += every(t) {
		for _, e := range []faulty.Effect{faulty.FailAfter, faulty.CrashBefore} {
			r := newRig(t)
			r.dropFile(dirty)
			r.store.Plan(faulty.Nth(n, e))
			r.tell()
			r.drain()
			r.revive()
			r.settle()
			got := r.answers()
			for name, body := range got {
				if strings.HasSuffix(name, "/errors.csv") && body != dirtyErrors {
					t.Errorf("call %d: %s: errors:\n%s", n, e, body)
				}
			}
			if len(got) != 3 {
				t.Errorf("call %d: %s: answers %v", n, e, got)
			}
		}
	}
}
