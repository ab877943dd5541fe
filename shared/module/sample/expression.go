package sample

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// cutName reads what an expression calls its column: \"name", (\name) or
// (\number). It returns that, whether it may be a number, and the rest of the
// expression.
func cutName(text string) (name string, number bool, rest string, err error) {
	s := strings.TrimSpace(text)
	var ok bool
	switch {
	case strings.HasPrefix(s, `\"`):
		name, s, ok = strings.Cut(s[2:], `"`)
	case strings.HasPrefix(s, `(\`):
		name, s, ok = strings.Cut(s[2:], ")")
		name = strings.Trim(name, `"`)
		number = true
	}
	if !ok || name == "" {
		return "", false, "", module.Errorf(2, `the expression %q does not begin with a column, as \"name" or (\0)`, frame.Clip([]byte(text)))
	}
	return name, number, strings.TrimSpace(s), nil
}

// cutColumn finds the column that an expression begins with; numbers count from
// 0. It returns the column and the rest of the expression.
func cutColumn(text string, in frame.Schema) (int, string, error) {
	name, number, rest, err := cutName(text)
	if err != nil {
		return 0, "", err
	}
	i := in.Index(name)
	if n, err := strconv.Atoi(name); i < 0 && number && err == nil {
		if n < 0 || n >= len(in) {
			return 0, "", module.Errorf(1, "column number %d is not there: the table has %d columns, counted from 0", n, len(in))
		}
		i = n
	}
	if i < 0 {
		return 0, "", module.NoColumn(in, name)
	}
	return i, rest, nil
}

// byRow makes a splitter of a condition on one cell; a missing cell does not
// meet it.
func byRow(column int, holds func(c *frame.Column, r int) bool) splitter {
	return func(f *frame.Frame) (first, second []int, err error) {
		c := f.Cols[column]
		for r := range c.Len() {
			if !c.IsNull(r) && holds(c, r) {
				first = append(first, r)
			} else {
				second = append(second, r)
			}
		}
		return first, second, nil
	}
}

// checkRegular judges what of a regular expression needs no table.
func checkRegular(text string) error {
	_, _, pattern, err := cutName(text)
	if err == nil {
		_, err = compile(pattern)
	}
	return err
}

func compile(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, module.Errorf(3, "the regular expression has no pattern behind the column")
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, module.Errorf(2, "the regular expression %q cannot be used: %v", frame.Clip([]byte(pattern)), err)
	}
	return re, nil
}

func regularSplit(text string, in frame.Schema) (splitter, []int, error) {
	column, pattern, err := cutColumn(text, in)
	if err != nil {
		return nil, nil, err
	}
	if in[column].Type != frame.String {
		return nil, nil, module.Errorf(17, "column %q is %s: a regular expression needs a String column", in[column].Name, in[column].Type).At(in[column].Name)
	}
	re, err := compile(pattern)
	if err != nil {
		return nil, nil, err
	}
	return byRow(column, func(c *frame.Column, r int) bool {
		if c.Field.Levels != nil {
			return re.MatchString(c.Level(r))
		}
		return re.Match(c.Text(r))
	}), []int{column}, nil
}

// comparison is one comparison of the column with a value.
type comparison struct {
	op       string
	exact    bool // an integer, compared as one
	integer  int64
	floating float64
}

func (c *comparison) holds(col *frame.Column, r int) bool {
	order := 0
	switch {
	case col.Field.Type != frame.Double && c.exact:
		order = compare(col.Ints[r], c.integer)
	default:
		order = compare(col.Float(r), c.floating)
	}
	switch c.op {
	case "<":
		return order < 0
	case ">":
		return order > 0
	case "<=":
		return order <= 0
	case ">=":
		return order >= 0
	case "==":
		return order == 0
	}
	return order != 0
}

func compare[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// checkRelative judges what of a relational expression needs no table: whether
// the column is of numbers or of dates is not known.
func checkRelative(text string) error {
	_, _, rest, err := cutName(text)
	if err != nil {
		return err
	}
	_, err = parseComparisons(rest, frame.Double)
	if err == nil {
		return nil
	}
	if _, dates := parseComparisons(rest, frame.DateTime); dates == nil {
		return nil
	}
	return err
}

func relativeSplit(text string, in frame.Schema) (splitter, []int, error) {
	column, rest, err := cutColumn(text, in)
	if err != nil {
		return nil, nil, err
	}
	f := in[column]
	if !f.Type.Numeric() && f.Type != frame.DateTime {
		return nil, nil, module.Errorf(17, "column %q is %s: a relative expression needs a column of numbers or dates", f.Name, f.Type).At(f.Name)
	}
	alternatives, err := parseComparisons(rest, f.Type)
	if err != nil {
		return nil, nil, err
	}
	return byRow(column, func(c *frame.Column, r int) bool {
		return slices.ContainsFunc(alternatives, func(all []comparison) bool {
			return !slices.ContainsFunc(all, func(t comparison) bool { return !t.holds(c, r) })
		})
	}), []int{column}, nil
}

// parseComparisons reads conjunctions of comparisons, one of which is to hold.
func parseComparisons(text string, typ frame.Type) ([][]comparison, error) {
	var alternatives [][]comparison
	for part := range strings.SplitSeq(text, "|") {
		var all []comparison
		for term := range strings.SplitSeq(part, "&") {
			c, err := parseComparison(term, typ)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
		alternatives = append(alternatives, all)
	}
	return alternatives, nil
}

// parseComparison reads an operator and a value for a column of that type.
func parseComparison(text string, typ frame.Type) (comparison, error) {
	s := strings.TrimSpace(text)
	bad := func() error {
		return module.Errorf(2, "%q in the relational expression is no comparison with a value of type %s, as in > 3", frame.Clip([]byte(text)), typ)
	}
	var c comparison
	for _, op := range []string{"<=", ">=", "==", "!=", "<", ">"} {
		if rest, ok := strings.CutPrefix(s, op); ok {
			c.op, s = op, strings.Trim(strings.TrimSpace(rest), `"'`)
			break
		}
	}
	if c.op == "" || s == "" {
		return c, bad()
	}
	if typ == frame.DateTime {
		t, ok := parseDate(s)
		if !ok {
			return c, bad()
		}
		c.exact, c.integer = true, t
		return c, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		c.exact, c.integer, c.floating = true, n, float64(n)
		return c, nil
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(x) {
		return c, bad()
	}
	c.floating = x
	return c, nil
}

// dateLayouts are the American forms that the Studio takes besides ISO 8601.
var dateLayouts = []string{"1/2/2006", "1-2-2006", "1/2/2006 15:04:05", "1-2-2006 15:04:05"}

// parseDate returns a date as a DateTime column holds it.
func parseDate(s string) (int64, bool) {
	one := frame.NewColumn(frame.Field{Type: frame.DateTime}, 1)
	if err := one.AppendText([]byte(s)); err == nil && !one.IsNull(0) {
		return one.Ints[0], true
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMicro(), true
		}
	}
	return 0, false
}
