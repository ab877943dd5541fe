package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/service"
)

// MaxDatasetBytes bounds the file of a dataset, also when it is decompressed.
const MaxDatasetBytes = 256 << 20

// maxDescription bounds a dataset's description, in bytes.
const maxDescription = 4000

// NewDataset is a dataset to save.
type NewDataset struct {
	Name        string
	Description string
	// New refuses a name that is taken (fault.Conflict, CodeNameTaken) instead of
	// saving a new version.
	New     bool
	Content []byte
	// Format is the name of one of package format's. Files of text formats may
	// be compressed by gzip or Zstandard, which their first bytes tell.
	Format   string
	NoHeader bool // csv, tsv: there is no header row; columns are called Col1, Col2, …
	// Missing are texts that read as missing, besides the empty cell.
	Missing []string
	// Categorical makes every String column of at most maxLevels different
	// values categorical.
	Categorical bool
	// Columns overrides what was inferred, by column name.
	Columns map[string]Override
}

// Override says what a column is; nil = as inferred.
type Override struct {
	Type *frame.Type `json:"type,omitempty"`
	Role *frame.Role `json:"role,omitempty"`
	// Categorical pins the values that the file has as levels, or unpins them;
	// Levels gives the levels and their order.
	Categorical *bool    `json:"categorical,omitempty"`
	Levels      []string `json:"levels,omitempty"`
	Nullable    *bool    `json:"nullable,omitempty"`
	Missing     []string `json:"missing,omitempty"`
}

// maxLevels bounds the levels that are taken from a file without being asked
// for column by column; maxAskedLevels bounds them where they are.
const (
	maxLevels      = 1000
	maxAskedLevels = 100_000
)

// document is the artifact behind a dataset version: how to read which file. Its
// digest covers both the bytes and their meaning, so the digest of a version
// names a table.
type document struct {
	Format      string             `json:"format"`
	Compression format.Compression `json:"compression,omitempty"`
	NoHeader    bool               `json:"noHeader,omitempty"`
	Content     string             `json:"content"` // digest of the file
	Schema      frame.Schema       `json:"schema"`
}

func (d *document) options() format.Options { return format.Options{NoHeader: d.NoHeader} }

// describe says what the file of a new dataset is.
func (n *NewDataset) describe() (*document, *format.Format, error) {
	ft := format.Lookup(n.Format)
	if ft == nil {
		return nil, nil, fault.New(fault.BadArgument, "DataTypeNotSupported", "format %.40q of a dataset: one of %s", n.Format, strings.Join(format.Names(), ", ")).At("format")
	}
	if n.NoHeader && ft.Name != format.CSV && ft.Name != format.TSV {
		return nil, nil, fault.New(fault.BadArgument, "BadParameterValue", "a file of format %s has no header row that could be missing", ft.Name).At("header")
	}
	d := &document{Format: ft.Name, NoHeader: n.NoHeader}
	if ft.Text() {
		d.Compression = format.Sniff(n.Content)
	}
	return d, ft, nil
}

// name is what a version's record calls the format: csv, csv.gz.
func (d *document) name() string {
	if ext := d.Compression.Extension(); ext != "" {
		return d.Format + "." + ext
	}
	return d.Format
}

// SaveDataset saves a version of a dataset. Types are inferred over all rows,
// once, here, or are those that the file declares; a cell that does not fit an
// override is an error with its place.
func (c *Catalog) SaveDataset(ctx context.Context, ws string, n NewDataset, by auth.Identity) (*Version, error) {
	if err := CheckName("dataset", n.Name); err != nil {
		return nil, err
	}
	if len(n.Description) > maxDescription || !utf8.ValidString(n.Description) {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "the dataset's description: at most %d bytes of text are kept, not %d", maxDescription, len(n.Description)).At("description")
	}
	if len(n.Content) > MaxDatasetBytes {
		return nil, fault.New(fault.TooLarge, "", "the dataset's file has %d bytes: at most %d are allowed", len(n.Content), MaxDatasetBytes)
	}
	if n.New { // asked again when it is saved; but reading a file takes longer
		_, err := c.tables.Get(ctx, table, versionsPartition(ws, service.Dataset), nameRow(hash(n.Name)))
		if err == nil {
			return nil, taken(service.Dataset, n.Name)
		}
		if !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	d, ft, err := n.describe()
	if err != nil {
		return nil, err
	}
	content, err := d.Compression.Decompress(n.Content, MaxDatasetBytes)
	if err != nil {
		return nil, err
	}
	schema, err := ft.Infer(content, format.Options{NoHeader: n.NoHeader, Missing: n.Missing})
	if err != nil {
		return nil, err
	}
	categorical, err := override(schema, &n)
	if err != nil {
		return nil, err
	}
	layout, err := frame.NewLayout(slices.Clone(schema)) // a clone: schema changes below
	if err != nil {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "the dataset's schema: %v", err).At("columns")
	}
	f, err := ft.Read(content, layout, d.options())
	if err != nil {
		return nil, err
	}
	for name, limit := range categorical {
		field := &schema[schema.Index(name)]
		levels, few := levelsOf(f.Col(name), limit)
		switch {
		case few:
			field.Levels = levels
		case limit == maxAskedLevels:
			return nil, fault.New(fault.BadArgument, "BadParameterValue", "column %q cannot be categorical: it has more than %d different values", name, limit).At("columns")
		}
	}
	for i, col := range f.Cols {
		field := &schema[i]
		if !field.Nullable && col.Nulls() > 0 {
			return nil, fault.New(fault.BadUserArgument, "InputMismatchError", "column %q must not be nullable, but %d of its cells are missing", field.Name, col.Nulls()).At(field.Name)
		}
		if n.Columns[field.Name].Levels == nil {
			continue
		}
		for row := range col.Len() {
			if col.Unknown(row) {
				return nil, fault.New(fault.BadUserArgument, "InputMismatchError", "row %d, column %q: the value %.80q is not one of the levels given", row+1, field.Name, col.Text(row)).At(field.Name)
			}
		}
	}
	d.Schema = schema
	if d.Content, err = c.artifacts.Put(ctx, ws, n.Content); err != nil {
		return nil, err
	}
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode a dataset's document: %w", err)
	}
	v := Version{Kind: service.Dataset, Name: n.Name, Original: d.Content, Format: d.name(), NoHeader: n.NoHeader, Description: n.Description, Bytes: int64(len(n.Content)), Rows: int64(f.Rows()), Cols: int64(len(f.Cols))}
	if v.Digest, err = c.artifacts.Put(ctx, ws, body); err != nil {
		return nil, err
	}
	return c.save(ctx, ws, v, n.New, by)
}

// override applies the overrides to an inferred schema. It returns the columns
// whose levels are to be taken from the file, each with how many it may have.
func override(schema frame.Schema, n *NewDataset) (map[string]int, error) {
	categorical := map[string]int{}
	if n.Categorical {
		for i := range schema {
			if schema[i].Type == frame.String && schema[i].Levels == nil {
				categorical[schema[i].Name] = maxLevels
			}
		}
	}
	for name, o := range n.Columns {
		bad := func(format string, args ...any) error {
			return fault.New(fault.BadArgument, "BadParameterValue", "column %q: %s", name, fmt.Sprintf(format, args...)).At("columns")
		}
		i := schema.Index(name)
		if i < 0 {
			if near := schema.Nearest(name); near != "" {
				return nil, bad("the file has no such column; did you mean %q?", near)
			}
			return nil, bad("the file has no such column")
		}
		f := &schema[i]
		if o.Type != nil {
			f.Type = *o.Type
		}
		if f.Type != frame.String || o.Categorical != nil && !*o.Categorical {
			f.Levels = nil // those that the file declares
		}
		if o.Role != nil {
			if !slices.Contains([]frame.Role{frame.Feature, frame.Label, frame.Weight, frame.Score, frame.ID}, *o.Role) {
				return nil, bad("role %.40q: one of label, weight, score, id, or empty for a feature", *o.Role)
			}
			f.Role = *o.Role
		}
		if o.Missing != nil {
			f.Missing = slices.Clone(o.Missing)
			f.Nullable = true // what it says is missing was not seen as such
		}
		if o.Nullable != nil {
			f.Nullable = *o.Nullable
		}
		pinned := o.Levels != nil || o.Categorical != nil && *o.Categorical
		switch {
		case pinned && f.Type != frame.String:
			return nil, bad("only String columns can be categorical, and this is %s", f.Type)
		case o.Levels != nil && o.Categorical != nil && !*o.Categorical:
			return nil, bad("it has levels and is not to be categorical")
		case o.Levels != nil:
			f.Levels = slices.Clone(o.Levels)
			delete(categorical, name)
		case pinned && f.Levels == nil:
			categorical[name] = maxAskedLevels
		case pinned:
		case o.Categorical != nil || f.Type != frame.String:
			delete(categorical, name)
		}
	}
	return categorical, nil
}

// levelsOf returns the different values of a column, sorted by bytes; false if
// there are more than limit.
func levelsOf(col *frame.Column, limit int) ([]string, bool) {
	seen := map[string]struct{}{}
	for i := range col.Len() {
		if col.IsNull(i) {
			continue
		}
		text := col.Text(i)
		if _, ok := seen[string(text)]; !ok {
			if len(seen) == limit {
				return nil, false
			}
			seen[string(text)] = struct{}{}
		}
	}
	levels := make([]string, 0, len(seen))
	for v := range seen {
		levels = append(levels, v)
	}
	slices.Sort(levels)
	return levels, true
}

// Dataset is a version of a dataset with its schema.
type Dataset struct {
	Version
	Schema frame.Schema `json:"schema"`
}

// Dataset returns a version of a dataset with its schema; number 0 is the
// newest.
func (c *Catalog) Dataset(ctx context.Context, ws, name string, number int) (*Dataset, error) {
	v, err := c.Saved(ctx, ws, service.Dataset, name, number)
	if err != nil {
		return nil, err
	}
	d, err := c.document(ctx, ws, v.Digest)
	if err != nil {
		return nil, err
	}
	return &Dataset{*v, d.Schema}, nil
}

func (c *Catalog) document(ctx context.Context, ws, digest string) (*document, error) {
	body, err := c.Artifact(ctx, ws, digest)
	if err != nil {
		return nil, err
	}
	d := &document{}
	if err := json.Unmarshal(body, d); err != nil {
		return nil, fault.New(fault.Internal, "", "the document of dataset %s cannot be read", digest).Because(err)
	}
	return d, nil
}

// Table reads a version of a dataset as a frame; number 0 is the newest.
func (c *Catalog) Table(ctx context.Context, ws, name string, number int) (*frame.Frame, error) {
	_, d, content, err := c.content(ctx, ws, name, number)
	if err != nil {
		return nil, err
	}
	return d.parse(content, math.MaxInt)
}

// Head reads the first rows of a dataset, at most limit, without parsing the
// others.
func (c *Catalog) Head(ctx context.Context, ws, name string, number, limit int) (*Dataset, *frame.Frame, error) {
	v, d, content, err := c.content(ctx, ws, name, number)
	if err != nil {
		return nil, nil, err
	}
	f, err := d.parse(content, limit)
	if err != nil {
		return nil, nil, err
	}
	return &Dataset{*v, d.Schema}, f, nil
}

func (c *Catalog) content(ctx context.Context, ws, name string, number int) (*Version, *document, []byte, error) {
	v, err := c.Saved(ctx, ws, service.Dataset, name, number)
	if err != nil {
		return nil, nil, nil, err
	}
	d, err := c.document(ctx, ws, v.Digest)
	if err != nil {
		return nil, nil, nil, err
	}
	content, err := c.Artifact(ctx, ws, d.Content)
	return v, d, content, err
}

// parse reads the first rows of the file, at most limit.
func (d *document) parse(content []byte, limit int) (*frame.Frame, error) {
	f, err := d.read(content, limit)
	if err != nil {
		// It read when it was saved.
		return nil, fault.New(fault.Internal, "", "dataset file %s no longer reads", d.Content).Because(err)
	}
	return f, nil
}

func (d *document) read(content []byte, limit int) (*frame.Frame, error) {
	ft := format.Lookup(d.Format)
	if ft == nil {
		return nil, fmt.Errorf("unknown format %q", d.Format)
	}
	layout, err := frame.NewLayout(d.Schema)
	if err != nil {
		return nil, err
	}
	if content, err = d.Compression.Decompress(content, MaxDatasetBytes); err != nil {
		return nil, err
	}
	if limit < math.MaxInt {
		return ft.Head(content, layout, d.options(), limit)
	}
	return ft.Read(content, layout, d.options())
}
