// Package frame is the columnar table that everything scores, and the one
// place where text becomes cells and cells become text.
//
// A Frame is a list of Columns of one length; a Column is a typed vector with
// a validity bitmap. Columns are shared between frames and immutable once
// built: a module that changes a column makes a new one. Text files (CSV, ARFF,
// JSONL, SVMLight) are read and written by the codecs in this package, Parquet
// by package parquet below it; the documents of a call are package wire's, over
// the same cell parser and printer, so that RRS, BES, previews and downloads
// agree.
package frame

import (
	"fmt"
	"slices"
)

// Type is what a column's cells are. Both integer types are stored as int64.
type Type uint8

const (
	String Type = iota
	Double
	Int32
	Int64
	Boolean
	DateTime
)

var typeNames = [...]string{String: "String", Double: "Double", Int32: "Int32", Int64: "Int64", Boolean: "Boolean", DateTime: "DateTime"}

// String returns the .NET name, as the classic ColumnTypes give it.
func (t Type) String() string { return typeNames[t] }

// MarshalText writes the .NET name.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads a .NET name.
func (t *Type) UnmarshalText(b []byte) error {
	i := slices.Index(typeNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("unknown column type %q: one of %v", b, typeNames)
	}
	*t = Type(i)
	return nil
}

// Integer reports whether cells are stored in Ints.
func (t Type) Integer() bool { return t == Int32 || t == Int64 }

// Numeric reports whether the type is Double or an integer.
func (t Type) Numeric() bool { return t == Double || t.Integer() }

// Role is what a column is for.
type Role string

const (
	Feature Role = "" // the default
	Label   Role = "label"
	Weight  Role = "weight"
	Score   Role = "score"
	ID      Role = "id" // echoed as it came, never a feature
)

// Field describes a column. Fields are values: copy, do not share and change.
type Field struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
	Role Role   `json:"role,omitempty"`
	// Levels, for a categorical String column, are its values in order; they
	// compare exactly. Nil for a column that is not categorical.
	Levels []string `json:"levels,omitzero"` // none at all is not the same as not categorical
	// Nullable says that missing cells are allowed where the column is read.
	Nullable bool `json:"nullable,omitempty"`
	// Optional says that a request may leave the column out: it then reads as
	// missing. Set on pass-through columns and the label.
	Optional bool `json:"optional,omitempty"`
	// Missing are texts, besides the empty cell, that read as missing.
	Missing []string `json:"missing,omitempty"`
}

// Categorical reports whether the column has pinned levels.
func (f *Field) Categorical() bool { return f.Levels != nil }

// Schema is the columns of a table, in order; names are unique.
type Schema []Field

// Index returns the position of the column called name, or -1.
func (s Schema) Index(name string) int {
	return slices.IndexFunc(s, func(f Field) bool { return f.Name == name })
}

// Names returns the column names in order.
func (s Schema) Names() []string {
	names := make([]string, len(s))
	for i := range s {
		names[i] = s[i].Name
	}
	return names
}

// Nearest returns the column name closest to name in edits without regard to
// case, for "did you mean"; "" where none is near.
func (s Schema) Nearest(name string) string {
	best, dist := "", min(len(name), len(name)/3+2)
	for i := range s {
		if d := editDistance(name, s[i].Name, dist); d < dist {
			best, dist = s[i].Name, d
		}
	}
	return best
}

// Layout is a schema compiled for reading and writing: the name index and the
// level indexes. It is immutable and shared by all frames made from it.
type Layout struct {
	Schema Schema
	// Label, where it is set, is the column of the schema that a training
	// service learns: a file without it has the classic error for that.
	Label  string
	byName map[string]int
	levels []map[string]int32 // per column; nil where not categorical
}

// NewLayout compiles s. It fails on a duplicate name or level.
func NewLayout(s Schema) (*Layout, error) {
	l := &Layout{Schema: s, byName: make(map[string]int, len(s)), levels: make([]map[string]int32, len(s))}
	for i := range s {
		f := &s[i]
		if _, dup := l.byName[f.Name]; dup {
			return nil, fmt.Errorf("two columns are called %q", f.Name)
		}
		l.byName[f.Name] = i
		if f.Levels == nil {
			continue
		}
		if f.Type != String {
			return nil, fmt.Errorf("column %q has levels but is %s, not String", f.Name, f.Type)
		}
		m := make(map[string]int32, len(f.Levels))
		for j, v := range f.Levels {
			if _, dup := m[v]; dup {
				return nil, fmt.Errorf("column %q has level %q twice", f.Name, v)
			}
			m[v] = int32(j)
		}
		l.levels[i] = m
	}
	return l, nil
}

// Index returns the position of the column called name, or -1. It does not
// allocate.
func (l *Layout) Index(name []byte) int {
	if i, ok := l.byName[string(name)]; ok {
		return i
	}
	return -1
}

// New makes an empty frame of the layout with room for rows rows.
func (l *Layout) New(rows int) *Frame {
	f := &Frame{Cols: make([]*Column, len(l.Schema))}
	for i := range l.Schema {
		f.Cols[i] = l.Column(i, rows)
	}
	return f
}

// Column makes an empty column for field i with room for rows rows.
func (l *Layout) Column(i, rows int) *Column {
	c := &Column{Field: &l.Schema[i], levels: l.levels[i]}
	c.Grow(rows)
	return c
}

// NewColumn makes an empty column of field f by itself. Levels must be
// distinct.
func NewColumn(f Field, rows int) *Column {
	l, err := NewLayout(Schema{f})
	if err != nil {
		panic("frame: " + err.Error()) // a bug of the caller: fields come validated
	}
	return l.Column(0, rows)
}

// editDistance is the Levenshtein distance of a and b, folding ASCII case,
// cut off at limit.
func editDistance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if lower(a[i]) == lower(b[j]) {
				cost = 0
			}
			prev, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, prev+cost)
		}
	}
	return row[len(b)]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
