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

// cutColumn reads the column that an expression begins with: \"name", (\name)
// or (\number) from 0. It returns the column and the rest of the expression.
func cutColumn(text string, in frame.Schema) (int, string, error) {
	s := strings.TrimSpace(text)
	bad := module.Errorf(2, `the expression %q does not begin with a column, as \"name" or (\0)`, frame.Clip([]byte(text)))
	var name string
	var ok, number bool
	switch {
	case strings.HasPrefix(s, `\"`):
		name, s, ok = strings.Cut(s[2:], `"`)
	case strings.HasPrefix(s, `(\`):
		name, s, ok = strings.Cut(s[2:], ")")
		name = strings.Trim(name, `"`)
		number = true
	}
	if !ok || name == "" {
		return 0, "", bad
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
	return i, strings.TrimSpace(s), nil
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

func regularSplit(text string, in frame.Schema) (splitter, []int, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil, module.Errorf(3, "parameter %q is empty", "Regular expression")
	}
	column, pattern, err := cutColumn(text, in)
	if err != nil {
		return nil, nil, err
	}
	if in[column].Type != frame.String {
		return nil, nil, module.Errorf(17, "column %q is %s: a regular expression needs a String column", in[column].Name, in[column].Type).At(in[column].Name)
	}
	if pattern == "" {
		return nil, nil, module.Errorf(3, "the regular expression has no pattern behind the column")
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, nil, module.Errorf(2, "the regular expression %q cannot be used: %v", frame.Clip([]byte(pattern)), err)
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

func relativeSplit(text string, in frame.Schema) (splitter, []int, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil, module.Errorf(3, "parameter %q is empty", "Relational expression")
	}
	column, rest, err := cutColumn(text, in)
	if err != nil {
		return nil, nil, err
	}
	f := in[column]
	if !f.Type.Numeric() && f.Type != frame.DateTime {
		return nil, nil, module.Errorf(17, "column %q is %s: a relative expression needs a column of numbers or dates", f.Name, f.Type).At(f.Name)
	}
	var alternatives [][]comparison // one of these conjunctions
	for _, part := range strings.Split(rest, "|") {
		var all []comparison
		for _, term := range strings.Split(part, "&") {
			c, err := parseComparison(term, f.Type)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, c)
		}
		alternatives = append(alternatives, all)
	}
	return byRow(column, func(c *frame.Column, r int) bool {
		return slices.ContainsFunc(alternatives, func(all []comparison) bool {
			return !slices.ContainsFunc(all, func(t comparison) bool { return !t.holds(c, r) })
		})
	}), []int{column}, nil
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
