package text

import "testing"

func TestLemma(t *testing.T) {
	for word, want := range map[string]string{
		"cats": "cat", "boxes": "box", "glasses": "glass", "glass": "glass", "churches": "church", "cities": "city", "cookies": "cookie", "tried": "try",
		"running": "run", "making": "make", "hoped": "hope", "hopping": "hop", "dancing": "dance", "visited": "visit", "created": "create", "changed": "change",
		"thing": "thing", "string": "string", "ran": "run", "better": "good", "children": "child", "was": "be", "this": "this", "bus": "bus", "famous": "famous",
		"charged": "charge", "falling": "fall", "passed": "pass", "loved": "love", "closing": "close", "playing": "play", "fixed": "fix", "snowed": "snow",
		"CATS": "CAT", "café's": "café's", "b2b": "b2b", "s": "s", "needed": "need", "sized": "size", "enabled": "enable",
	} {
		if got := string(lemma(nil, []byte(word))); got != want {
			t.Errorf("%s: got %s, want %s", word, got, want)
		}
	}
}

// FuzzPreprocess cleans anything; clean text has single blanks.
func FuzzPreprocess(f *testing.F) {
	f.Add([]byte("I won't e-mail bob@x.com; see http://x.y/z. It's 1,200.50$ \\o/ sooooo goood!"), uint16(0xffff))
	f.Add([]byte("’’ a’b 'n't n't’s"), uint16(0))
	f.Fuzz(func(t *testing.T, text []byte, options uint16) {
		on := func(i int) bool { return options>>i&1 == 1 }
		w := &writer{c: &cleaner{on(0), on(1), on(2), on(3), on(4), on(5), on(6), on(7), on(8), on(9), on(10), on(11), nil, nil}}
		w.text = append(w.text, text...)
		out := string(w.clean())
		w.text = append(w.text[:0], text...)
		if again := string(w.clean()); again != out {
			t.Fatalf("%q, again %q", out, again)
		}
		for i := range len(out) {
			if out[i] == ' ' && (i == 0 || i == len(out)-1 || out[i+1] == ' ') {
				t.Fatalf("blanks in %q", out)
			}
		}
	})
}
