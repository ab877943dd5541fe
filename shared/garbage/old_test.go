package garbage_test

import (
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/storage"
)

func TestOld(t *testing.T) {
	st := open(t)
	id := "a0000000000000000000000000000000"
	for _, key := range []string{ws + "/uploads/" + id + "/may.csv", ws + "/sha256/" + id, "0" + ws[1:] + "1/uploads/" + id + "/x"} {
		_, err := st.Blobs.Put(t.Context(), key, []byte("abc"), nil, storage.Condition{})
		must(t, err)
	}
	if got := round(t, garbage.Old(st.Blobs, "uploads", time.Hour)); got != nil {
		t.Fatalf("%v went within an hour", got)
	}
	over := garbage.Old(st.Blobs, "uploads", -time.Hour) // as if the clock stood an hour on
	r, err := garbage.Look(t.Context(), ws, []garbage.Kind{{Name: "uploaded", Collect: over}})
	must(t, err)
	if k := r.Kinds[0]; k.Count != 1 || k.Bytes != 3 {
		t.Fatalf("a look: %+v", k)
	}
	for n := range 2 { // the second finds nothing
		if got := round(t, over); len(got) != 1-n || n == 0 && got[0].Name != ws+"/uploads/"+id+"/may.csv" {
			t.Errorf("%v went", got)
		}
	}
	left := 0
	for _, err := range st.Blobs.List(t.Context(), "") {
		must(t, err)
		left++
	}
	if left != 2 {
		t.Errorf("%d blobs are left, want those that are no uploads of the workspace", left)
	}
}
