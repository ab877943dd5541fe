package module

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
)

// Selection is a set of columns by rule, as the Studio's column selector
// writes it:
//
//	{"isFilter":true,"rules":[
//	  {"ruleType":"AllColumns","exclude":false},
//	  {"ruleType":"ColumnNames","columns":["age","state"],"exclude":true},
//	  {"ruleType":"ColumnIndexes","columns":["1-3","7"],"exclude":false},
//	  {"ruleType":"ColumnTypes","columnTypes":["Numeric"],"columnKinds":["Feature"],"exclude":false}]}
//
// Rules apply in order; the first decides with what to begin. With isFilter
// the result keeps the table's order, without it the order in which the rules
// named the columns. For people writing by hand, a text that is not JSON is
// either one of the words All, None, NumericAll, StringAll, BooleanAll,
// CategoricalAll, AllLabels, AllFeatures, AllScores, or a comma-separated list
// of names (quoted as in CSV), which keeps the order given.
type Selection struct {
	IsFilter bool   `json:"isFilter"`
	Rules    []Rule `json:"rules"`
}

// Rule is one line of a selection.
type Rule struct {
	RuleType    string   `json:"ruleType"`
	Columns     []string `json:"columns,omitempty"`     // ColumnNames, ColumnIndexes (from 1)
	ColumnTypes []string `json:"columnTypes,omitempty"` // ColumnTypes
	ColumnKinds []string `json:"columnKinds,omitempty"` // ColumnTypes
	Exclude     bool     `json:"exclude"`
}

const (
	allColumns    = "AllColumns"
	columnNames   = "ColumnNames"
	columnIndexes = "ColumnIndexes"
	columnTypes   = "ColumnTypes"
)

// maxSelection bounds the text of a selection, in bytes.
const maxSelection = 1 << 20

var words = map[string]Rule{
	"All":            {RuleType: allColumns},
	"None":           {RuleType: allColumns, Exclude: true},
	"NumericAll":     {RuleType: columnTypes, ColumnTypes: []string{"Numeric"}, ColumnKinds: []string{"All"}},
	"StringAll":      {RuleType: columnTypes, ColumnTypes: []string{"String"}, ColumnKinds: []string{"All"}},
	"BooleanAll":     {RuleType: columnTypes, ColumnTypes: []string{"Boolean"}, ColumnKinds: []string{"All"}},
	"CategoricalAll": {RuleType: columnTypes, ColumnTypes: []string{"Categorical"}, ColumnKinds: []string{"All"}},
	"AllLabels":      {RuleType: columnTypes, ColumnTypes: []string{"All"}, ColumnKinds: []string{"Label"}},
	"AllFeatures":    {RuleType: columnTypes, ColumnTypes: []string{"All"}, ColumnKinds: []string{"Feature"}},
	"AllScores":      {RuleType: columnTypes, ColumnTypes: []string{"All"}, ColumnKinds: []string{"Score"}},
}

var (
	typeWords = []string{"All", "AllTypes", "Numeric", "Integer", "Double", "String", "Boolean", "DateTime", "Categorical", "NonCategorical"}
	kindWords = []string{"All", "Feature", "Label", "Weight", "Score", "Id"}
)

// ParseSelection reads either form of a selection and checks its rules. The
// empty text selects nothing.
func ParseSelection(text string) (Selection, error) {
	t := strings.TrimSpace(text)
	if len(t) > maxSelection {
		return Selection{}, fmt.Errorf("a column selection is at most %d bytes", maxSelection)
	}
	if t == "" {
		return Selection{IsFilter: true}, nil
	}
	if r, ok := words[t]; ok {
		return Selection{IsFilter: true, Rules: []Rule{r}}, nil
	}
	if t[0] != '{' {
		r := csv.NewReader(strings.NewReader(t))
		r.TrimLeadingSpace = true
		names, err := r.Read()
		if err != nil {
			return Selection{}, fmt.Errorf("column selection %q: %w", t, err)
		}
		if r.InputOffset() < int64(len(t)) {
			return Selection{}, fmt.Errorf("column selection %q: more than one line", t)
		}
		s := Selection{Rules: []Rule{{RuleType: columnNames, Columns: names}}}
		return s, s.check()
	}
	var s struct {
		IsFilter *bool           `json:"isFilter"`
		Rules    []Rule          `json:"rules"`
		UI       json.RawMessage `json:"ui"` // the selector's own state; means nothing here
	}
	dec := json.NewDecoder(strings.NewReader(t))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return Selection{}, fmt.Errorf("column selection: %w", err)
	}
	if rest := strings.TrimSpace(t[dec.InputOffset():]); rest != "" {
		return Selection{}, fmt.Errorf("column selection: text after the end: %.20q", rest)
	}
	sel := Selection{IsFilter: s.IsFilter == nil || *s.IsFilter, Rules: s.Rules}
	return sel, sel.check()
}

func (s Selection) check() error {
	for i, r := range s.Rules {
		place := fmt.Sprintf("column selection: rule %d", i+1)
		switch r.RuleType {
		case allColumns:
		case columnNames:
			if len(r.Columns) == 0 {
				return fmt.Errorf("%s names no column", place)
			}
			for _, c := range r.Columns {
				if c == "" {
					return fmt.Errorf("%s has an empty column name", place)
				}
			}
		case columnIndexes:
			if len(r.Columns) == 0 {
				return fmt.Errorf("%s has no index", place)
			}
			for _, c := range r.Columns {
				if _, _, err := indexRange(c); err != nil {
					return fmt.Errorf("%s: %w", place, err)
				}
			}
		case columnTypes:
			if len(r.ColumnTypes) == 0 && len(r.ColumnKinds) == 0 {
				return fmt.Errorf("%s names no type", place)
			}
			for _, t := range r.ColumnTypes {
				if !slices.Contains(typeWords, t) {
					return fmt.Errorf("%s: column type %q is not one of %s", place, t, strings.Join(typeWords, ", "))
				}
			}
			for _, k := range r.ColumnKinds {
				if !slices.Contains(kindWords, k) {
					return fmt.Errorf("%s: column kind %q is not one of %s", place, k, strings.Join(kindWords, ", "))
				}
			}
		default:
			return fmt.Errorf("%s: ruleType %q is not one of AllColumns, ColumnNames, ColumnIndexes, ColumnTypes", place, r.RuleType)
		}
	}
	return nil
}

// indexRange reads "7" or "1-3", counted from 1, as a half-open range from 0.
func indexRange(text string) (lo, hi int, err error) {
	a, b, isRange := strings.Cut(strings.TrimSpace(text), "-")
	if !isRange {
		b = a
	}
	lo, err1 := strconv.Atoi(strings.TrimSpace(a))
	hi, err2 := strconv.Atoi(strings.TrimSpace(b))
	if err1 != nil || err2 != nil || lo < 1 || hi < lo {
		return 0, 0, fmt.Errorf("%q is not a column index or range such as 7 or 1-3", text)
	}
	return lo - 1, hi, nil
}

// String writes the selection in its one canonical form; "" for nothing.
func (s Selection) String() string {
	if len(s.Rules) == 0 {
		return ""
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // strings and bools always encode
	return strings.TrimSpace(b.String())
}

// Names selects columns by their names.
func Names(names ...string) Selection {
	return Selection{IsFilter: true, Rules: []Rule{{RuleType: columnNames, Columns: names}}}
}

// Empty reports whether the selection has no rules.
func (s Selection) Empty() bool { return len(s.Rules) == 0 }

// Resolve returns the positions of the selected columns in schema. A name or
// index that is not there is module error 0001.
func (s Selection) Resolve(schema frame.Schema) ([]int, error) {
	var picked []int // in the order of the rules
	in := make([]bool, len(schema))
	set := func(i int, exclude bool) {
		switch {
		case exclude && in[i]:
			in[i] = false
			picked = slices.DeleteFunc(picked, func(j int) bool { return j == i })
		case !exclude && !in[i]:
			in[i] = true
			picked = append(picked, i)
		}
	}
	if len(s.Rules) > 0 && s.Rules[0].Exclude && s.Rules[0].RuleType != allColumns {
		for i := range schema { // a selection that begins by excluding begins with all
			set(i, false)
		}
	}
	for _, r := range s.Rules {
		switch r.RuleType {
		case allColumns:
			for i := range schema {
				set(i, r.Exclude)
			}
		case columnNames:
			for _, name := range r.Columns {
				i := schema.Index(name)
				if i < 0 {
					return nil, NoColumn(schema, name)
				}
				set(i, r.Exclude)
			}
		case columnIndexes:
			for _, c := range r.Columns {
				lo, hi, err := indexRange(c)
				if err != nil {
					return nil, Errorf(2, "%v", err)
				}
				if hi > len(schema) {
					return nil, Errorf(1, "column index %d is not there: the table has %d columns", hi, len(schema))
				}
				for i := lo; i < hi; i++ {
					set(i, r.Exclude)
				}
			}
		case columnTypes:
			for i := range schema {
				if r.matches(&schema[i]) {
					set(i, r.Exclude)
				}
			}
		}
	}
	if s.IsFilter {
		slices.Sort(picked)
	}
	return picked, nil
}

// NoColumn is module error 0001 for a name that schema does not have.
func NoColumn(schema frame.Schema, name string) error {
	msg := fmt.Sprintf("column %q is not in the table", name)
	if n := schema.Nearest(name); n != "" {
		msg += fmt.Sprintf("; the nearest is %q", n)
	}
	return Errorf(1, "%s", msg).At(name)
}

func (r Rule) matches(f *frame.Field) bool {
	typ, kind := len(r.ColumnTypes) == 0, len(r.ColumnKinds) == 0
	for _, t := range r.ColumnTypes {
		switch t {
		case "All", "AllTypes":
			typ = true
		case "Numeric":
			typ = typ || f.Type.Numeric()
		case "Integer":
			typ = typ || f.Type.Integer()
		case "Categorical":
			typ = typ || f.Categorical()
		case "NonCategorical":
			typ = typ || !f.Categorical()
		default:
			typ = typ || f.Type.String() == t
		}
	}
	for _, k := range r.ColumnKinds {
		switch k {
		case "All":
			kind = true
		case "Feature":
			kind = kind || f.Role == frame.Feature
		default:
			kind = kind || strings.EqualFold(string(f.Role), k)
		}
	}
	return typ && kind
}
