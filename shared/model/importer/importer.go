// Package importer makes trained models of files that other libraries wrote.
//
// A file is joined with a binding, which says what request columns its
// features are and how its classes are spelled. What the file knows fills the
// binding, a table named by SchemaFrom fills more, and what is still open is
// refused with the list of features and what to give. With Check the model
// must give the scores that the author's own program gave, or it is refused;
// without, it is imported as unverified.
package importer

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/catboost"
	"github.com/portico-ml/portico/shared/model/lightgbm"
	"github.com/portico-ml/portico/shared/model/onnx"
	"github.com/portico-ml/portico/shared/model/trees"
	"github.com/portico-ml/portico/shared/model/xgboost"
)

// Request is what an import is made of.
type Request struct {
	Name string // of the file, for messages and the record
	File []byte
	// Binding is a Binding in JSON; empty where the file and SchemaFrom say all.
	Binding []byte
	// SchemaFrom is a CSV with the columns of a request, such as the training
	// data: it fills columns, types, levels and classes. Optional.
	SchemaFrom []byte
	// Check is a CSV with those columns and the scores that the model must
	// give. Optional.
	Check []byte
}

// Result is an imported model.
type Result struct {
	Artifact []byte // the scoring part: what is stored, and whose digest names the model
	Record   []byte // JSON, stored beside it
	Model    *model.Model
	Format   string
	Verified bool
	Check    *CheckResult // nil without a check
	Warnings []string
}

// record is what is known of a model besides what decides its scores.
type record struct {
	Imported original        `json:"imported"`
	Library  string          `json:"library,omitempty"`
	Learner  string          `json:"learner"`
	Features []string        `json:"features"`
	Verified bool            `json:"verified"`
	Check    *CheckResult    `json:"check,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
	Earlier  json.RawMessage `json:"earlier,omitempty"` // the record that an .ilearner file came with
}

type original struct {
	Name   string `json:"name,omitempty"`
	Format string `json:"format"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// loaders are the formats that can be imported. The first that knows a file
// reads it.
var loaders = []struct {
	is   func([]byte) bool
	load func([]byte) (*model.Foreign, error)
}{
	{xgboost.Is, xgboost.Load},
	{lightgbm.Is, lightgbm.Load},
	{catboost.Is, catboost.Load},
}

// Import makes a model of r. Errors are for the author: of kind fault.Package
// where the file is at fault, fault.BadUserArgument where the binding or a
// table is.
func Import(r Request) (*Result, error) {
	if model.IsArtifact(r.File) {
		return importArtifact(r)
	}
	b, err := parseBinding(r.Binding)
	if err != nil {
		return nil, err
	}
	var sample *sample
	if len(r.SchemaFrom) > 0 {
		if sample, err = readSample(r.SchemaFrom); err != nil {
			return nil, err
		}
	}
	foreign, err := load(r.File, b, sample)
	if err != nil {
		return nil, err
	}
	h, warnings, err := resolve(foreign, b, sample)
	if err != nil {
		return nil, err
	}
	body := foreign.Body
	if b.Contributions != nil && !*b.Contributions && foreign.Engine == model.EngineTrees {
		if body, err = trees.WithoutCovers(body); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "leave covers out")
		}
	}
	scoring, err := model.Encode(*h, body)
	if err != nil {
		return nil, err
	}
	rec := record{Imported: original{Format: foreign.Format}, Library: foreign.Library, Learner: foreign.Learner}
	return finish(r, scoring, rec, append(foreign.Warnings, warnings...))
}

// importArtifact takes a model that this program wrote.
func importArtifact(r Request) (*Result, error) {
	if len(r.Binding) > 0 || len(r.SchemaFrom) > 0 {
		return nil, fault.New(fault.BadUserArgument, "", "an .ilearner file has its binding in it: give none")
	}
	scoring, earlier, err := model.Split(r.File)
	if err != nil {
		return nil, err
	}
	rec := record{Imported: original{Format: "ilearner"}}
	if len(earlier) > 0 {
		if !json.Valid(earlier) {
			return nil, fault.New(fault.Package, "", "the model file cannot be used: the record at its end, %d bytes, is damaged or cut short", len(earlier))
		}
		rec.Earlier = earlier
	}
	return finish(r, bytes.Clone(scoring), rec, nil)
}

// finish opens, checks and records a model.
func finish(r Request, scoring []byte, rec record, warnings []string) (*Result, error) {
	m, err := model.Open(scoring)
	if err != nil {
		return nil, err
	}
	res := &Result{Artifact: scoring, Model: m, Format: rec.Imported.Format, Warnings: warnings}
	if len(r.Check) > 0 {
		if res.Check, err = check(m, r.Check); err != nil {
			return nil, err
		}
		res.Verified = true
		if n := res.Check.UnknownLevels; n > 0 {
			res.warn("%d cells of the check have levels that the model does not know", n)
		}
	}
	rec.Imported.Name, rec.Imported.Bytes, rec.Imported.SHA256 = r.Name, len(r.File), artifact.Digest(r.File)
	rec.Learner = m.Header().Learner
	for _, f := range m.Header().Features {
		rec.Features = append(rec.Features, f.Name)
	}
	rec.Verified, rec.Check, rec.Warnings = res.Verified, res.Check, res.Warnings
	if res.Record, err = json.Marshal(&rec); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "encode model record")
	}
	return res, nil
}

// load finds the loader of a file.
func load(file []byte, b *Binding, s *sample) (*model.Foreign, error) {
	for _, l := range loaders {
		if l.is(file) {
			return l.load(file)
		}
	}
	if onnx.Is(file) {
		return loadONNX(file, b, s)
	}
	for _, k := range known {
		if bytes.HasPrefix(file, []byte(k.magic)) {
			return nil, fault.New(fault.Package, "", "the file looks like %s, which cannot be imported: %s", k.what, k.instead)
		}
	}
	head := strings.ToLower(string(file[:min(len(file), 512)]))
	if strings.Contains(head, "<pmml") {
		return nil, fault.New(fault.Package, "", "the file looks like PMML, which cannot be imported: save the model in its library's own format")
	}
	return nil, fault.New(fault.Package, "", "the file is of no format that can be imported: XGBoost JSON or UBJ, LightGBM text, CatBoost JSON, ONNX or .ilearner")
}

// known are formats that people try.
var known = []struct{ magic, what, instead string }{
	{"\x80\x02", "a Python pickle", pickleAdvice},
	{"\x80\x03", "a Python pickle", pickleAdvice},
	{"\x80\x04", "a Python pickle", pickleAdvice},
	{"\x80\x05", "a Python pickle", pickleAdvice},
	{"PK\x03\x04", "a zip archive", "unpack it and give the model file itself"},
	{"\x1f\x8b", "a gzip file", "unpack it and give the model file itself"},
	{"CBM1", "a CatBoost binary model", "save it with save_model(\"model.json\", format=\"json\")"},
	{"\x89HDF", "an HDF5 file", "export the model to a format that can be imported"},
	{"RDX", "an R data file", "save the model with its library's own function, such as xgb.save or lgb.save"},
}

const pickleAdvice = "it holds program code; save the model with its library's own save_model"
