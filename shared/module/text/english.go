package text

import (
	"bytes"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

func set(words string) map[string]bool {
	m := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// pairs reads "a=b c=d"; an underscore stands for a blank.
func pairs(text string) map[string]string {
	m := make(map[string]string)
	for w := range strings.FieldsSeq(text) {
		k, v, _ := strings.Cut(w, "=")
		m[k] = strings.ReplaceAll(v, "_", " ")
	}
	return m
}

// lexicon is what is known of English.
type lexicon struct {
	stop          map[string]bool   // words that say little by themselves
	abbreviations map[string]bool   // after whose point a sentence goes on
	contractions  map[string]string // that are not their verb with an ending
	irregular     map[string]string // basic forms of irregular words, and of words that the rules would spoil
}

// english is made when the first text is cleaned, not when the program starts.
var english = sync.OnceValue(func() *lexicon {
	return &lexicon{stop: set(stopWords), abbreviations: set(abbreviations), contractions: pairs(contractions), irregular: pairs(irregular)}
})

const stopWords = `a about above after again against all also am an and any are aren't as at be because been before being below between both but by
can can't cannot could couldn't did didn't do does doesn't doing don't down during each few for from further had hadn't has hasn't have haven't having he
he'd he'll he's her here here's hers herself him himself his how how's i i'd i'll i'm i've if in into is isn't it it's its itself just let's me more most
mustn't my myself no nor not of off on once only or other ought our ours ourselves out over own same shan't she she'd she'll she's should shouldn't so some
such than that that's the their theirs them themselves then there there's these they they'd they'll they're they've this those through to too under until up
very was wasn't we we'd we'll we're we've were weren't what what's when when's where where's which while who who's whom why why's will with won't would
wouldn't you you'd you'll you're you've your yours yourself yourselves`

const contractions = `won't=will_not can't=can_not shan't=shall_not let's=let_us it's=it_is he's=he_is she's=she_is that's=that_is what's=what_is
who's=who_is where's=where_is there's=there_is here's=here_is how's=how_is when's=when_is why's=why_is i'm=i_am ain't=is_not y'all=you_all`

// suffixes of verbs after an apostrophe. Another 's is a genitive: it goes.
var suffixes = map[string]string{"re": "are", "ve": "have", "ll": "will", "d": "would", "s": "", "m": "am"}

const abbreviations = "mr mrs ms dr prof st vs etc e.g i.e jr sr inc ltd co corp dept est fig no vol approx"

const irregular = `am=be is=be are=be was=be were=be been=be being=be has=have had=have having=have does=do did=do done=do doing=do goes=go went=go gone=go going=go
said=say made=make making=make took=take taken=take taking=take came=come coming=come saw=see seen=see got=get gotten=get getting=get gave=give given=give giving=give
knew=know known=know thought=think told=tell became=become becoming=become left=leave leaving=leave felt=feel brought=bring began=begin begun=begin kept=keep held=hold
wrote=write written=write writing=write stood=stand heard=hear let=let meant=mean met=meet ran=run paid=pay sat=sit spoke=speak spoken=speak led=lead grew=grow grown=grow
lost=lose losing=lose fell=fall fallen=fall sent=send built=build understood=understand drew=draw drawn=draw broke=break broken=break spent=spend cut=cut rose=rise risen=rise
drove=drive driven=drive driving=drive bought=buy wore=wear worn=wear chose=choose chosen=choose choosing=choose ate=eat eaten=eat eating=eat drank=drink drunk=drink
slept=sleep sold=sell taught=teach caught=catch flew=fly flown=fly threw=throw thrown=throw forgot=forget forgotten=forget rode=ride ridden=ride sang=sing sung=sing
swam=swim swum=swim won=win winning=win hid=hide hidden=hide shook=shake shaken=shake stole=steal stolen=steal bit=bite bitten=bite fed=feed bred=breed
men=man women=woman children=child feet=foot teeth=tooth geese=goose mice=mouse people=person lives=life wives=wife knives=knife leaves=leaf wolves=wolf shelves=shelf
halves=half loaves=loaf thieves=thief calves=calf selves=self analyses=analysis crises=crisis theses=thesis criteria=criterion phenomena=phenomenon indices=index
better=good best=good worse=bad worst=bad further=far
this=this his=his its=its us=us yes=yes gas=gas bus=bus plus=plus thus=thus always=always perhaps=perhaps news=news series=series species=species lens=lens
less=less unless=unless bias=bias atlas=atlas canvas=canvas christmas=christmas texas=texas was=be towards=towards besides=besides sometimes=sometimes
cookies=cookie movies=movie pies=pie ties=tie lies=lie dies=die shoes=shoe toes=toe potatoes=potato tomatoes=tomato heroes=hero
thing=thing nothing=nothing something=something anything=anything everything=everything morning=morning evening=evening during=during ceiling=ceiling
bring=bring spring=spring string=string king=king ring=ring sing=sing wing=wing swing=swing interesting=interesting amazing=amazing pudding=pudding wedding=wedding
changed=change changing=change arranged=arrange arranging=arrange challenged=challenge challenging=challenge
using=use used=use ages=age aging=age dying=die lying=lie tying=tie
need=need indeed=indeed speed=speed seed=seed feed=feed weed=weed exceed=exceed proceed=proceed succeed=succeed red=red bed=bed shed=shed hundred=hundred
sacred=sacred naked=naked wicked=wicked`

// lemma appends the basic form of an English word: of what is in the list of
// exceptions that, else what the endings -s, -ed and -ing leave. Words with
// other characters than letters stay as they are.
func lemma(dst, word []byte) []byte {
	var low [64]byte
	if base, ok := english().irregular[string(foldWord(low[:0], word))]; ok {
		return append(dst, base...)
	}
	n := len(word)
	for _, c := range word {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return append(dst, word...)
		}
	}
	ends := func(suffix string) bool { return n > len(suffix) && equalFold(word[n-len(suffix):], suffix) }
	switch {
	case n < 4:
	case ends("ies"):
		return append(append(dst, word[:n-3]...), 'y')
	case ends("sses"), ends("shes"), ends("ches"), ends("xes"), ends("zzes"):
		return append(dst, word[:n-2]...)
	case ends("ss"), ends("us"), ends("is"), ends("as"), ends("ous"):
	case ends("s"):
		return append(dst, word[:n-1]...)
	case ends("ied"):
		return append(append(dst, word[:n-3]...), 'y')
	case ends("ed"):
		return stem(dst, word, n-2)
	case ends("ing"):
		return stem(dst, word, n-3)
	}
	return append(dst, word...)
}

// stem appends the first n letters of a word as a verb: a doubled consonant
// becomes one, and an e comes back where one has been (Porter's step 1b).
func stem(dst, word []byte, n int) []byte {
	vowels := 0
	for _, c := range word[:n] {
		if isVowel(c) || c|0x20 == 'y' {
			vowels++
		}
	}
	if vowels == 0 {
		return append(dst, word...)
	}
	s := word[:n]
	last, before := s[n-1]|0x20, byte(0)
	if n > 1 {
		before = s[n-2] | 0x20
	}
	switch {
	case last == before && !isVowel(last) && last != 'l' && last != 's' && last != 'z':
		return append(dst, s[:n-1]...)
	case last == 'v', last == 'c', last == 'u', last == 'z' && before != 'z', equalFold(s[max(0, n-2):], "at"), equalFold(s[max(0, n-2):], "bl"),
		last == 'g' && (before == 'd' || before == 'r'), last == 's' && (isVowel(before) || before == 'r') && n > 2,
		vowels == 1 && n > 2 && !isVowel(last) && isVowel(before) && !isVowel(s[n-3]|0x20) && last != 'w' && last != 'x' && last != 'y':
		return append(append(dst, s...), 'e')
	}
	return append(dst, s...)
}

func isVowel(c byte) bool {
	switch c | 0x20 {
	case 'a', 'e', 'i', 'o', 'u':
		return true
	}
	return false
}

// equalFold reports whether b is s, which is lower-case ASCII, in any case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if b[i]|0x20 != s[i] {
			return false
		}
	}
	return true
}

// foldWord appends a word in lower case, with a straight apostrophe.
func foldWord(dst, word []byte) []byte {
	for len(word) > 0 {
		r, n := utf8.DecodeRune(word)
		word = word[n:]
		if r == '’' {
			r = '\''
		}
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
	}
	return dst
}

// apostrophe returns where the first apostrophe of a word is, or -1.
func apostrophe(word []byte) int {
	for i, c := range word {
		if c == '\'' || c == 0xE2 && bytes.HasPrefix(word[i:], []byte("’")) {
			return i
		}
	}
	return -1
}

// withoutApostrophes appends a word without its apostrophes.
func withoutApostrophes(dst, word []byte) []byte {
	for len(word) > 0 {
		r, n := utf8.DecodeRune(word)
		if r != '\'' && r != '’' {
			dst = append(dst, word[:n]...)
		}
		word = word[n:]
	}
	return dst
}

// isNumber reports whether a word is digits, with points and commas between.
func isNumber(word []byte) bool {
	digits := false
	for len(word) > 0 {
		r, n := utf8.DecodeRune(word)
		word = word[n:]
		switch {
		case unicode.IsDigit(r):
			digits = true
		case !strings.ContainsRune(".,+-%$€£#", r):
			return false
		}
	}
	return digits
}

// squeeze writes, in place, what comes more than twice in a row only twice.
func squeeze(word []byte) []byte {
	out, last, run := word[:0], rune(-1), 0
	for len(word) > 0 {
		r, n := utf8.DecodeRune(word)
		if run++; r != last {
			last, run = r, 1
		}
		if run <= 2 {
			out = append(out, word[:n]...)
		}
		word = word[n:]
	}
	return out
}

var schemes = [][]byte{[]byte("http://"), []byte("https://"), []byte("ftp://"), []byte("www.")}

// cutURL cuts an address off: it goes to the end of the token.
func cutURL(token []byte) []byte {
	at := len(token)
	for _, s := range schemes {
		for i := 0; i+len(s) <= at; i++ {
			if equalFoldURL(token[i:i+len(s)], s) {
				at = i
				break
			}
		}
	}
	return token[:at]
}

func equalFoldURL(b, s []byte) bool {
	for i := range b {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// cutEmails cuts the addresses out of a token, in place.
func cutEmails(token []byte) []byte {
	for from := 0; ; {
		i := bytes.IndexByte(token[from:], '@')
		if i < 0 {
			return token
		}
		at := from + i
		lo, hi := at, at+1
		for lo > 0 && addressByte(token[lo-1], "._%+-") {
			lo--
		}
		for hi < len(token) && addressByte(token[hi], ".-") {
			hi++
		}
		for hi > at+1 && (token[hi-1] == '.' || token[hi-1] == '-') {
			hi-- // the end of the sentence
		}
		if lo == at || bytes.IndexByte(token[at+1:hi], '.') <= 0 {
			from = at + 1
			continue
		}
		token = append(token[:lo], token[hi:]...)
		from = lo
	}
}

func addressByte(c byte, others string) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte(others, c) >= 0
}

// endsSentence reports whether a sentence ends with a token: it ends with a
// mark that is not that of an abbreviation, and what follows begins one.
func endsSentence(token, rest []byte) bool {
	end := bytes.TrimRight(token, `"')]}`)
	if len(end) == 0 {
		return false
	}
	switch end[len(end)-1] {
	case '!', '?':
	case '.':
		word := bytes.TrimRight(bytes.TrimLeft(end, `"'([{`), ".")
		var low [64]byte
		if english().abbreviations[string(foldWord(low[:0], word))] || utf8.RuneCount(word) == 1 && len(word) > 0 && unicode.IsUpper(rune(word[0])) && word[0] != 'I' {
			return false
		}
	default:
		return false
	}
	rest = bytes.TrimLeft(rest, " \t\r\n\"'([{")
	r, _ := utf8.DecodeRune(rest)
	return len(rest) > 0 && !unicode.IsLower(r)
}
