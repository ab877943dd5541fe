package onnx

import (
	"encoding/binary"
	"strings"
)

// buildStringNormalizer drops stop words and changes case.
func buildStringNormalizer(d *decl) (op, error) {
	action, err := d.oneOf("case_change_action", "NONE", "LOWER", "UPPER")
	if err != nil {
		return nil, err
	}
	sensitive := d.int("is_case_sensitive", 0) != 0
	if l := d.word("locale", "en_US"); l != "" && !strings.HasPrefix(l, "en") && l != "C" {
		return nil, refuse("locale %q is not supported", l)
	}
	stop := map[string]bool{}
	for _, w := range d.strings("stopwords") {
		if !sensitive {
			w = strings.ToLower(w)
		}
		stop[w] = true
	}
	return func() kernel {
		var kept []string
		return func(c *call) error {
			x := c.in[0]
			if x.typ != String || x.rank() > 2 || x.rank() == 2 && x.shape[0] != 1 && len(stop) > 0 {
				return refuse("%s of shape %v", x.typ, append([]int(nil), x.shape...))
			}
			kept = kept[:0]
			for _, w := range x.s {
				key := w
				if !sensitive && len(stop) > 0 {
					key = strings.ToLower(w)
				}
				if stop[key] {
					continue
				}
				switch action {
				case "LOWER":
					w = strings.ToLower(w)
				case "UPPER":
					w = strings.ToUpper(w)
				}
				kept = append(kept, w)
			}
			c.index = append(c.index[:0], x.shape...)
			if len(stop) > 0 {
				if len(kept) == 0 {
					kept = append(kept, "") // the specification's answer where nothing is left
				}
				c.index[x.rank()-1] = len(kept)
			}
			out, err := c.make(0, String, c.index...)
			if err == nil {
				copy(out.s, kept)
			}
			return err
		}
	}, nil
}

// buildTfIdf counts the n-grams of a pool, with gaps of up to max_skip_count
// between their words.
func buildTfIdf(d *decl) (op, error) {
	mode, err := d.oneOf("mode", "TF", "IDF", "TFIDF")
	if err != nil {
		return nil, err
	}
	shortest, longest, skips := int(d.int("min_gram_length", 1)), int(d.int("max_gram_length", 1)), int(d.int("max_skip_count", 0))
	starts, places := d.ints("ngram_counts"), d.ints("ngram_indexes")
	words, numbers, weights := d.strings("pool_strings"), d.ints("pool_int64s"), d.floats("weights")
	pool := max(len(words), len(numbers))
	if shortest < 1 || longest < shortest || longest > 16 || skips < 0 || skips > 64 || len(words) > 0 && len(numbers) > 0 || len(starts) < longest {
		return nil, refuse("grams of %d to %d with %d skips and %d counts", shortest, longest, skips, len(starts))
	}
	grams := map[string]int{}
	width, next := 0, 0
	for i, start := range starts {
		end := int64(pool)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		if start < 0 || end < start || end > int64(pool) || (end-start)%int64(i+1) != 0 {
			return nil, refuse("ngram_counts %v for a pool of %d", starts, pool)
		}
		for k := int(start); k < int(end); k += i + 1 {
			var key []byte
			for j := k; j <= k+i; j++ {
				if words != nil {
					key = appendWord(key, words[j])
				} else {
					key = binary.LittleEndian.AppendUint64(key, uint64(numbers[j]))
				}
			}
			if next >= len(places) || places[next] < 0 || places[next] >= int64(len(places))*4+64 {
				return nil, refuse("ngram_indexes do not fit its pool")
			}
			if i+1 >= shortest && i+1 <= longest {
				grams[string(key)] = next
			}
			width = max(width, int(places[next])+1)
			next++
		}
	}
	if next != len(places) || weights != nil && len(weights) != len(places) {
		return nil, refuse("%d ngram_indexes and %d weights for %d grams", len(places), len(weights), next)
	}
	return func() kernel {
		var key []byte
		var counts []int
		// count counts the grams of so many words, every step-th, of the row that
		// lies in x from lo to hi.
		count := func(x *tensor, lo, hi, size, step int) {
			for first := lo; first+(size-1)*step < hi; first++ {
				key = key[:0]
				for j := range size {
					if e := first + j*step; x.typ == String {
						key = appendWord(key, x.s[e])
					} else {
						key = binary.LittleEndian.AppendUint64(key, uint64(truncate(x.at(e))))
					}
				}
				if g, ok := grams[string(key)]; ok {
					counts[g]++
				}
			}
		}
		return func(c *call) error {
			x := c.in[0]
			if x.typ == String && words == nil && pool > 0 || x.typ != String && x.typ != Int64 && x.typ != Int32 || x.rank() < 1 || x.rank() > 2 {
				return refuse("%s of shape %v", x.typ, append([]int(nil), x.shape...))
			}
			rows, n := 1, x.shape[x.rank()-1]
			c.index = append(c.index[:0], width)
			if x.rank() == 2 {
				rows = x.shape[0]
				c.index = append(c.index[:0], rows, width)
			}
			if err := c.work(rows*n, (longest-shortest+1)*(skips+1), 64); err != nil {
				return err
			}
			out, err := c.make(0, Float, c.index...)
			if err != nil {
				return err
			}
			clear(out.f32)
			counts = room(counts, len(places))
			for r := range rows {
				clear(counts)
				for size := shortest; size <= longest; size++ {
					gaps := skips
					if size == 1 {
						gaps = 0 // one word has none
					}
					for gap := range gaps + 1 {
						count(x, r*n, (r+1)*n, size, gap+1)
					}
				}
				for g, k := range counts {
					if k == 0 {
						continue
					}
					v := float32(k)
					if mode == "IDF" {
						v = 1
					}
					if mode != "TF" && weights != nil {
						v *= weights[g]
					}
					out.f32[r*width+int(places[g])] = v
				}
			}
			return nil
		}
	}, nil
}

// appendWord appends a word so that no two lists of words have one key.
func appendWord(key []byte, w string) []byte {
	return append(binary.AppendUvarint(key, uint64(len(w))), w...)
}
