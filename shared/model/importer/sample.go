package importer

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// sample is the table that a schema is taken from.
type sample struct {
	frame *frame.Frame
	known map[*frame.Column][]string // levels that were asked for: each of a column's indicators does
}

// maxLevels is how many distinct values of a column may be its levels.
const maxLevels = 100_000

// separator guesses a table's: tab where the first line has one and no comma.
func separator(table []byte) byte {
	line, _, _ := bytes.Cut(table, []byte("\n"))
	if bytes.IndexByte(line, '\t') >= 0 && bytes.IndexByte(line, ',') < 0 {
		return '\t'
	}
	return ','
}

func readSample(table []byte) (*sample, error) {
	o := frame.Inference{CSV: frame.CSV{Comma: separator(table)}, Categorical: true, MaxLevels: maxLevels}
	schema, err := o.Infer(table)
	if err != nil {
		return nil, fault.Wrap(err, fault.BadUserArgument, "read schema table")
	}
	layout, err := frame.NewLayout(schema)
	if err != nil {
		return nil, fault.New(fault.BadUserArgument, "", "the schema table cannot be used: %v", err)
	}
	f, err := o.Read(table, layout)
	if err != nil {
		return nil, fault.Wrap(err, fault.BadUserArgument, "read schema table")
	}
	return &sample{f, map[*frame.Column][]string{}}, nil
}

// column returns the table's column, or nil; a nil sample has none.
func (s *sample) column(name string) *frame.Column {
	if s == nil {
		return nil
	}
	return s.frame.Col(name)
}

// levels returns levels of one of the table's columns.
func (s *sample) levels(c *frame.Column) []string {
	l, ok := s.known[c]
	if !ok {
		l = levels(c)
		s.known[c] = l
	}
	return l
}

// levels returns the distinct values of a column in the order in which pandas
// and scikit-learn number them: texts by bytes, numbers by value, false before
// true. Nil where there are too many to be levels.
func levels(c *frame.Column) []string {
	if c.Field.Levels != nil {
		return c.Field.Levels
	}
	if c.Field.Type == frame.String || c.Field.Type == frame.DateTime {
		return nil
	}
	seen := map[float64]string{}
	for i := range c.Len() {
		if c.IsNull(i) {
			continue
		}
		v := c.Float(i)
		if _, ok := seen[v]; !ok {
			if len(seen) == maxLevels {
				return nil
			}
			seen[v] = string(c.Print(nil, i))
		}
	}
	values := make([]float64, 0, len(seen))
	for v := range seen {
		values = append(values, v)
	}
	slices.Sort(values)
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = seen[v]
	}
	return texts
}

// typeOfClasses guesses a label's type from the spelling of its classes.
func typeOfClasses(classes []string) frame.Type {
	integers, booleans := true, true
	for _, c := range classes {
		if v, err := strconv.ParseInt(c, 10, 32); err != nil || strconv.FormatInt(v, 10) != c {
			integers = false
		}
		if c != "True" && c != "False" {
			booleans = false
		}
	}
	switch {
	case integers:
		return frame.Int32
	case booleans:
		return frame.Boolean
	}
	return frame.String
}
