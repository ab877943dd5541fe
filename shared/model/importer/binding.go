package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// Binding is what an author says of a model file. Everything is optional that
// the file or SchemaFrom says.
type Binding struct {
	Kind         model.Kind          `json:"kind"`
	Label        *LabelBinding       `json:"label"`
	UnknownLevel model.UnknownPolicy `json:"unknownLevel"`
	// Features go by name; all of them, in the model's order, where the file
	// has no names. A binding that lists features lists every one but those
	// whose categories the file knows, unless SchemaFrom knows the rest.
	Features []FeatureBinding `json:"features"`
	// Inputs and Outputs are of ONNX models: the columns of each tensor that is
	// read, and what the tensors are that are answered.
	Inputs  map[string]InputBinding `json:"inputs"`
	Outputs *OutputBinding          `json:"outputs"`
	// Contributions, where false, leaves out of the artifact what Score Model
	// needs for contributions: a tree ensemble is a quarter smaller without.
	Contributions *bool `json:"contributions"`
}

// LabelBinding says what a model predicts.
type LabelBinding struct {
	Column   string      `json:"column"`
	Type     *frame.Type `json:"type"`
	Classes  texts       `json:"classes"` // in the order of the model's class numbers
	Positive text        `json:"positive"`
}

// FeatureBinding says where a feature comes from; see model.Feature.
type FeatureBinding struct {
	Feature  string         `json:"feature"`
	Column   string         `json:"column"`
	Type     *frame.Type    `json:"type"`
	Encoding model.Encoding `json:"encoding"`
	Levels   texts          `json:"levels"`
	Level    text           `json:"level"`
	Values   []float64      `json:"values"`
	Missing  *float64       `json:"missing"`
	Unknown  *float64       `json:"unknown"`
}

// text is a level or class. Numbers and booleans are accepted for their
// spelling.
type text string

type texts []string

func (t *text) UnmarshalJSON(b []byte) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	switch v := v.(type) {
	case string:
		*t = text(v)
	case json.Number:
		*t = text(v)
	case bool:
		*t = "False"
		if v {
			*t = "True"
		}
	default:
		return fmt.Errorf("%s is no text, number or boolean", b)
	}
	return nil
}

func (t *texts) UnmarshalJSON(b []byte) error {
	var list []text
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*t = make(texts, len(list))
	for i, s := range list {
		(*t)[i] = string(s)
	}
	return nil
}

func parseBinding(b []byte) (*Binding, error) {
	binding := new(Binding)
	if len(bytes.TrimSpace(b)) == 0 {
		return binding, nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(binding)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = fmt.Errorf("text follows the document")
		}
	}
	if err != nil {
		return nil, fault.New(fault.BadUserArgument, "", "the binding cannot be read: %s", syntax(err))
	}
	switch binding.UnknownLevel {
	case "", model.UnknownMissing, model.UnknownError:
	default:
		return nil, fault.New(fault.BadUserArgument, "", "the binding's unknownLevel is %q: one of %q, %q", binding.UnknownLevel, model.UnknownMissing, model.UnknownError)
	}
	return binding, nil
}

// syntax says what is wrong with a document in the words of JSON, not of Go.
func syntax(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return "it is a JSON " + e.Value
		}
		return "member " + e.Field + " is a JSON " + e.Value
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}
