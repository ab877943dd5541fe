package murmur_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/module/murmur"
)

// The numbers are those of scikit-learn 1.9.1:
// sklearn.utils.murmurhash3_32(text, seed, positive=True).
func TestSum32(t *testing.T) {
	for _, c := range []struct {
		text string
		seed uint32
		want uint32
	}{
		{"", 0, 0},
		{"", 1, 1364076727},
		{"a", 0, 1009084850},
		{"ab", 7, 4264175359},
		{"abc", 0, 3017643002},
		{"abcd", 1, 2616542610},
		{"hello, world", 1234, 2566024100},
		{"naïve", 0, 992511445},
	} {
		if got := murmur.Sum32([]byte(c.text), c.seed); got != c.want {
			t.Errorf("%q, seed %d: got %d, want %d", c.text, c.seed, got, c.want)
		}
	}
}
