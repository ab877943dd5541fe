package sqlite

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What decodes encodes to what decodes the same; nothing panics.
func FuzzDecodeProps(f *testing.F) {
	f.Add([]byte(`{"A":"s:text","B":"i:-12","C":"f:1e300","D":"b:true","E":"x:AP8=","F":"t:2026-11-23T08:00:00.000001Z"}`))
	f.Add([]byte(`{"A":"s:","B":"x:"}`))
	f.Add([]byte(`{"A":"?:1","B":"","C":"i"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := decodeProps(data)
		if err != nil {
			return
		}
		text, err := encodeProps(p)
		if err != nil {
			t.Fatalf("%v does not encode: %v", p, err)
		}
		again, err := decodeProps([]byte(text))
		if err != nil {
			t.Fatalf("%s does not decode: %v", text, err)
		}
		if diff := cmp.Diff(p, again, cmp.Comparer(func(x, y float64) bool { return x == y || x != x && y != y })); diff != "" {
			t.Errorf("%s", diff)
		}
	})
}
