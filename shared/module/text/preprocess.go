package text

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// PreprocessText cleans English text.
func PreprocessText() *module.Module {
	yes := func(name, doc string) module.Param {
		return module.Param{Name: name, Type: module.Boolean, Default: "true", Doc: doc}
	}
	return &module.Module{
		Spec: module.Spec{
			Name: "Preprocess Text", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs:  []module.Port{datasetIn},
			Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset, Doc: "The table with the cleaned text."}},
			Params: []module.Param{
				{Name: "Text column to clean", Type: module.ColumnPicker, Required: true, Single: true, Schema: true, Doc: "The column of English text."},
				yes("Remove stop words", "Leave out words that say little: the, of, is and so on."),
				yes("Use lemmatization", "Put words into their basic form, by rules and a list of exceptions: cats become cat, ran becomes run."),
				yes("Detect sentences", "Put ||| between sentences."),
				yes("Normalize case to lowercase", "Write all letters small."),
				yes("Remove numbers", "Leave out words that are numbers."),
				yes("Remove special characters", "Leave out all characters but letters, digits and blanks."),
				yes("Remove duplicate characters", "Write a character that comes more than twice in a row only twice."),
				yes("Remove email addresses", "Leave out what looks like name@example.com."),
				yes("Remove URLs", "Leave out what begins with http://, https://, ftp:// or www."),
				yes("Expand verb contractions", "Write won't as will not."),
				yes("Normalize backslashes to slashes", "Write \\ as /."),
				yes("Split tokens on special characters", "Take special characters as the end of a word: well-known becomes well known."),
				{Name: "Custom regular expression", Type: module.String, Check: checkPattern, Doc: "A regular expression (RE2) whose matches are replaced before anything else is done."},
				{Name: "Custom replacement string", Type: module.String, Doc: "What matches of the custom regular expression are replaced by; $1 is its first group."},
			},
			Doc: "Cleans English text: the result is a new column, Preprocessed and the name of the column, with words separated by one blank.",
		},
		Bind: bindPreprocess,
	}
}

// cleaner is what to do to a text.
type cleaner struct {
	stop, lemmas, sentences, lower, numbers, special, duplicates, emails, urls, expand, slashes, split bool
	custom                                                                                             *regexp.Regexp
	replacement                                                                                        []byte
}

const maxPattern = 10_000

func checkPattern(text string) error {
	_, err := compile(text)
	return err
}

func compile(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, module.Errorf(2, "the regular expression has more than %d bytes", maxPattern).At("Custom regular expression")
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, module.Errorf(2, "the regular expression cannot be read: %v", err).At("Custom regular expression")
	}
	return re, nil
}

func bindPreprocess(b *module.Binding) (*module.Bound, error) {
	in, p := b.Inputs[0].Schema, b.Params
	at, err := oneText(p, "Text column to clean", in)
	if err != nil {
		return nil, err
	}
	c := &cleaner{
		stop: p.Bool("Remove stop words"), lemmas: p.Bool("Use lemmatization"), sentences: p.Bool("Detect sentences"), lower: p.Bool("Normalize case to lowercase"),
		numbers: p.Bool("Remove numbers"), special: p.Bool("Remove special characters"), duplicates: p.Bool("Remove duplicate characters"),
		emails: p.Bool("Remove email addresses"), urls: p.Bool("Remove URLs"), expand: p.Bool("Expand verb contractions"),
		slashes: p.Bool("Normalize backslashes to slashes"), split: p.Bool("Split tokens on special characters"),
		replacement: []byte(p.Text("Custom replacement string")),
	}
	if pattern := p.Text("Custom regular expression"); pattern != "" {
		if c.custom, err = compile(pattern); err != nil {
			return nil, err
		}
	}
	var m module.RowMap
	for i := range in {
		m.Outs = append(m.Outs, module.Pass(in, i))
	}
	name := module.Unique("Preprocessed "+in[at].Name, func(n string) bool { return in.Index(n) >= 0 })
	m.Outs = append(m.Outs, module.Out{
		Field: frame.Field{Name: name, Type: frame.String, Nullable: in[at].Nullable}, From: -1, Reads: []int{at},
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			w := &writer{c: c}
			src := in.Cols[at]
			for r := range src.Len() {
				if src.IsNull(r) {
					dst.AppendNull()
					continue
				}
				w.text = src.Print(w.text[:0], r)
				dst.AppendString(w.clean())
			}
			return nil
		},
	})
	return m.Bind(in, 0, 1)
}

// writer cleans one text after another; it keeps its memory.
type writer struct {
	c   *cleaner
	out []byte
	// A separator is due before the next word, which begins another sentence.
	pending bool

	// Scratch: a text, a token, a word, and the word in further forms.
	text, token, word, folded, plain, squeezed, base []byte
}

// clean returns the clean form of w.text, valid until the next call.
func (w *writer) clean() []byte {
	c := w.c
	w.out, w.pending = w.out[:0], false
	text := w.text
	if c.custom != nil && c.custom.Match(text) {
		text = c.custom.ReplaceAll(text, c.replacement)
	}
	for len(text) > 0 {
		token := text
		if i := bytes.IndexFunc(text, unicode.IsSpace); i >= 0 {
			token = text[:i]
			_, n := utf8.DecodeRune(text[i:])
			text = text[i+n:]
		} else {
			text = nil
		}
		if len(token) > 0 {
			w.take(token, text)
		}
	}
	return w.out
}

// take takes a run of characters between blanks; rest is what follows.
func (w *writer) take(run, rest []byte) {
	c := w.c
	ends := c.sentences && endsSentence(run, rest)
	w.token = append(w.token[:0], run...)
	token := w.token
	if c.urls {
		token = cutURL(token)
	}
	if c.emails {
		token = cutEmails(token)
	}
	if c.slashes {
		for i, b := range token {
			if b == '\\' {
				token[i] = '/'
			}
		}
	}
	w.word = w.word[:0] // where words do not end at special characters
	for len(token) > 0 {
		n, special := span(token)
		part := token[:n]
		token = token[n:]
		switch {
		case special && c.special:
		case !c.split:
			w.word = append(w.word, part...)
		case special:
			w.emit(part)
		default:
			w.expand(part)
		}
	}
	if len(w.word) > 0 {
		w.expand(w.word)
	}
	w.pending = w.pending || ends
}

// span returns the length of the run of word characters, or of others, that b
// begins with. An apostrophe between letters belongs to the word, and so do
// point and comma between digits.
func span(b []byte) (n int, special bool) {
	last := rune(0)
	for n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		in := inWord(r) && r != '_'
		if !in && n > 0 && !special && n+size < len(b) {
			next, _ := utf8.DecodeRune(b[n+size:])
			switch r {
			case '\'', '’':
				in = unicode.IsLetter(last) && unicode.IsLetter(next)
			case '.', ',':
				in = unicode.IsDigit(last) && unicode.IsDigit(next)
			}
		}
		if n == 0 {
			special = !in
		} else if in == special {
			break
		}
		last = r
		n += size
	}
	return n, special
}

// expand takes a word that may be a contraction of several.
func (w *writer) expand(word []byte) {
	i := apostrophe(word)
	if !w.c.expand || i < 0 {
		w.finish(word)
		return
	}
	_, size := utf8.DecodeRune(word[i:])
	before, after := word[:i], word[i+size:]
	w.folded = foldWord(w.folded[:0], word)
	if whole, ok := english().contractions[string(w.folded)]; ok {
		for part := range strings.FieldsSeq(whole) {
			w.finish([]byte(part))
		}
		return
	}
	w.folded = foldWord(w.folded[:0], after)
	verb, ok := suffixes[string(w.folded)]
	switch n := len(before); {
	case ok:
		w.finish(before)
		w.finish([]byte(verb))
	case string(w.folded) == "t" && n > 1 && before[n-1]|0x20 == 'n':
		w.finish(before[:n-1])
		w.finish([]byte("not"))
	default:
		w.finish(word)
	}
}

// finish takes one word through the rest.
func (w *writer) finish(word []byte) {
	c := w.c
	w.folded = foldWord(w.folded[:0], word)
	if len(word) == 0 || c.numbers && isNumber(word) || c.stop && english().stop[string(w.folded)] {
		return
	}
	if c.lower {
		word = w.folded
	}
	if c.special && apostrophe(word) >= 0 {
		w.plain = withoutApostrophes(w.plain[:0], word)
		word = w.plain
	}
	if c.duplicates {
		w.squeezed = squeeze(append(w.squeezed[:0], word...))
		word = w.squeezed
	}
	if c.lemmas {
		w.base = lemma(w.base[:0], word)
		word = w.base
	}
	w.emit(word)
}

// emit writes a word, after a blank and the separator that is due.
func (w *writer) emit(word []byte) {
	if len(word) == 0 {
		return
	}
	if len(w.out) > 0 {
		w.out = append(w.out, ' ')
		if w.pending {
			w.out = append(w.out, "||| "...)
		}
	}
	w.pending = false
	w.out = append(w.out, word...)
}
