package batch

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// hurt damages the one file of our store that holds a text.
func (r *rig) hurt(text string, damage func(path string, body []byte) error) {
	r.t.Helper()
	hit := 0
	err := filepath.WalkDir(filepath.Join(r.dir, "files"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(body, []byte(text)) {
			return err
		}
		hit++
		return damage(path, body)
	})
	if err != nil || hit != 1 {
		r.t.Errorf("%d files hold %q: %v", hit, text, err)
	}
}

// alter changes a digit of what is stored of customer F, whose text stays as
// long as it was.
func alter(path string, body []byte) error {
	return os.WriteFile(path, bytes.Replace(body, []byte("F,4"), []byte("F,9"), 1), 0o600)
}

func cut(path string, body []byte) error { return os.Truncate(path, int64(len(body))-1) }

func lose(path string, _ []byte) error { return os.Remove(path) }

// before is a rule that does something once, before the first call of a method
// whose target has a suffix.
func before(method, suffix string, do func()) faulty.Rule {
	var once sync.Once
	return func(_ context.Context, c faulty.Call) faulty.Effect {
		if c.Port+"."+c.Method == method && strings.HasSuffix(c.Target, suffix) {
			once.Do(do)
		}
		return faulty.Pass
	}
}

// What a disk makes of a staged part, between its staging and its delivery, is
// never delivered: the job fails and says where.
func TestDamage_staged(t *testing.T) {
	for name, tt := range map[string]struct {
		damage func(string, []byte) error
		method string // before whose call it strikes
		says   string
	}{
		"altered before the commit":   {alter, "Blobs.Commit", "the bytes are not those that were written"},
		"cut before the commit":       {cut, "Blobs.Commit", "the file has "},
		"lost before the commit":      {lose, "Blobs.Commit", "the file is gone"},
		"altered before the delivery": {alter, "Blobs.Get", "the bytes are not those that were written"},
		"cut before the delivery":     {cut, "Blobs.Get", "the file is cut"},
		"lost before the delivery":    {lose, "Blobs.Get", "the file is gone"},
	} {
		t.Run("to a blob, "+name, func(t *testing.T) {
			r := dirtyRig(t, false)
			r.put("out.csv", "what was there")
			r.store.Plan(before(tt.method, "output1.csv", func() { r.hurt("F,4", tt.damage) }))
			id := r.submit(body(`{"RowErrors":"collect"}`))
			r.drain()
			damaged(t, r, id, tt.says)
			if got := readAll(t, r.raw.Blobs, "out.csv"); got != "what was there" {
				t.Errorf("delivered all the same:\n%s", got)
			}
		})
		t.Run("to a table, "+name, func(t *testing.T) {
			w := newWorld("id,minutes,calls\nA,10,1\nF,8,4\n")
			r := worldRig(t, w)
			r.store.Plan(before(tt.method, "output1.csv", func() { r.hurt("F,4", tt.damage) }))
			id := r.submit(beyond(true))
			r.drain()
			damaged(t, r, id, tt.says)
			if len(w.tables) != 0 {
				t.Errorf("delivered all the same: %v", w.tables)
			}
		})
		t.Run("of a dropped file, "+name, func(t *testing.T) {
			r := newRig(t)
			r.dropFile("id,minutes,calls\nF,24,4\n") // at a rate of 0.17
			r.store.Plan(before(tt.method, "output1.csv", func() { r.hurt("F,4", tt.damage) }))
			r.tell()
			r.drain()
			answers := r.answers()
			if len(answers) != 1 {
				t.Fatalf("answers: %v", answers)
			}
			for name := range answers {
				id, _, _ := strings.Cut(name, "/")
				damaged(t, r, id, tt.says)
				if doc := receiptOf(t, answers, id); doc.Status != Failed || !strings.Contains(doc.Details, tt.says) {
					t.Errorf("receipt: %+v", doc)
				}
			}
		})
	}
}

// A copy of an input that was damaged scores no row.
func TestDamage_input(t *testing.T) {
	for name, damage := range map[string]func(string, []byte) error{
		"altered": func(path string, body []byte) error {
			return os.WriteFile(path, bytes.Replace(body, []byte("B,5"), []byte("B,6"), 1), 0o600)
		},
		"cut":  cut,
		"lost": lose,
	} {
		t.Run(name, func(t *testing.T) {
			r := worldRig(t, newWorld("id,minutes,calls\nA,10,1\nB,5,2\n"))
			r.store.Plan(before("Blobs.Put", "/plan/0", func() { r.hurt("B,5,2", damage) }))
			id := r.submit(beyond(false))
			r.drain()
			s := r.status(id)
			if s.StatusCode != Failed || !strings.Contains(details(s), "StorageDamaged: ") || !strings.Contains(details(s), "/in/") || !strings.Contains(details(s), "input1") {
				t.Errorf("%s: %s", s.StatusCode, details(s))
			}
		})
	}
}

func damaged(t *testing.T, r *rig, id, says string) {
	t.Helper()
	s := r.status(id)
	if s.StatusCode != Failed || !strings.HasPrefix(details(s), fault.Damaged.Traits().Code+": blob "+ws+"/jobs/"+id+"/") ||
		!strings.Contains(details(s), "output1.csv") || !strings.Contains(details(s), says) || !strings.Contains(details(s), " at bytes ") {
		t.Errorf("%s: %s", s.StatusCode, details(s))
	}
	if !strings.Contains(r.log.String(), "level=ERROR msg=\"job failed\" job="+id) {
		t.Errorf("the log does not say so:\n%s", r.log.String())
	}
}
