package batch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
)

// request is a submit body, in any of its classic forms.
type request struct {
	Inputs     map[string]json.RawMessage
	Input      json.RawMessage
	Outputs    map[string]*connect.Place
	Output     *connect.Place
	Parameters map[string]json.RawMessage `json:"GlobalParameters"`
	Options    Options
}

func decodeRequest(body []byte) (*request, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // some .NET writers begin with it
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, fault.New(fault.BadArgument, "RequestIsEmpty", "The request has no body.")
	}
	if !utf8.Valid(body) {
		return nil, fault.New(fault.BadArgument, "RequestBodyInvalid", "The request body is not UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	r := &request{}
	if err := d.Decode(r); err != nil {
		if e, ok := errors.AsType[*fault.Error](err); ok {
			return nil, e
		}
		return nil, fault.New(fault.BadArgument, "RequestBodyInvalid", "The request body is not a batch request: %s.", syntax(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fault.New(fault.BadArgument, "RequestBodyInvalid", "The request body has something behind its end, at byte %d.", d.InputOffset())
	}
	return r, nil
}

// withoutNaN is a body in which a bare NaN is null: it is no JSON, but what
// many clients write for a cell that is missing.
func withoutNaN(body []byte) []byte {
	if !bytes.Contains(body, []byte("NaN")) {
		return body
	}
	out := make([]byte, 0, len(body)+16)
	for inside := false; len(body) > 0; {
		switch c := body[0]; {
		case c == '"':
			inside = !inside
		case c == '\\' && inside && len(body) > 1:
			out, body = append(out, c), body[1:]
		case !inside && bytes.HasPrefix(body, []byte("NaN")):
			out, body = append(out, "null"...), body[3:]
			continue
		}
		out, body = append(out, body[0]), body[1:]
	}
	return out
}

// syntax is a decoding error without any value of the body in it.
func syntax(err error) string {
	switch e := err.(type) {
	case *json.SyntaxError:
		return e.Error()
	case *json.UnmarshalTypeError:
		if e.Field == "" {
			return "it is a JSON " + e.Value
		}
		return "member " + e.Field + " is a JSON " + e.Value
	}
	return "it ends too early"
}

// inputs maps the request's inputs to the service's, in the service's order.
func (r *request) inputs(ports []service.Port) ([]json.RawMessage, error) {
	given := r.Inputs
	if !null(r.Input) {
		if len(given) > 0 {
			return nil, fault.New(fault.BadArgument, "DuplicateInputInBatchCall", "The request has both Input and Inputs: give one of them.")
		}
		if len(ports) != 1 {
			return nil, fault.New(fault.BadArgument, "InvalidInputNames", "The service has %d inputs (%s): name them in Inputs.", len(ports), names(ports))
		}
		given = map[string]json.RawMessage{ports[0].Name: r.Input}
	}
	if len(ports) == 0 && len(given) > 0 {
		return nil, fault.New(fault.BadArgument, "BatchJobInputsTooManySpecified", "The service has no inputs; the request has %d.", len(given))
	}
	var unknown, missing []string
	for name := range given {
		if !slices.ContainsFunc(ports, func(p service.Port) bool { return p.Name == name }) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, fault.New(fault.BadArgument, "InvalidInputNames",
			"Invalid service input name(s) specified in the request: %s. Please map the input data to the correct service inputs and try again. The service's inputs are: %s.",
			strings.Join(unknown, ", "), names(ports)).At(unknown[0])
	}
	in := make([]json.RawMessage, len(ports))
	for i, p := range ports {
		raw, ok := given[p.Name]
		if !ok {
			missing = append(missing, p.Name)
		} else if null(raw) {
			return nil, fault.New(fault.BadArgument, "MissingInputBlobInformation", "Input %s has no blob information.", p.Name).At(p.Name)
		}
		in[i] = raw
	}
	if len(missing) > 0 {
		return nil, fault.New(fault.BadArgument, "BatchJobInputsNotSpecified", "The request does not say where these inputs are: %s.", strings.Join(missing, ", ")).At(missing[0])
	}
	return in, nil
}

// outputs maps the request's output references to the service's outputs, in
// the service's order; nil where there is none. One that says a format and no
// place stays with us.
func (r *request) outputs(ports []service.Port) ([]*connect.Place, error) {
	given := r.Outputs
	if r.Output != nil {
		if len(given) > 0 {
			return nil, fault.New(fault.BadArgument, "InvalidOutputOverrideName", "The request has both Output and Outputs: give one of them.")
		}
		if len(ports) != 1 {
			return nil, fault.New(fault.BadArgument, "InvalidOutputOverrideName", "The service has %d outputs (%s): name them in Outputs.", len(ports), names(ports))
		}
		given = map[string]*connect.Place{ports[0].Name: r.Output}
	}
	out := make([]*connect.Place, len(ports))
	for name, ref := range given {
		i := slices.IndexFunc(ports, func(p service.Port) bool { return p.Name == name })
		if i < 0 {
			return nil, fault.New(fault.BadArgument, "InvalidOutputOverrideName", "The service has no output %q (names are case-sensitive); its outputs are: %s.", name, names(ports)).At(name)
		}
		if ref == nil || zero(ref) && ref.FileFormat == "" {
			return nil, fault.New(fault.BadArgument, "MissingOutputOverrideSpecification", "Output %s is named but no blob is given for it.", name).At(name)
		}
		out[i] = ref
	}
	return out, nil
}

// parameters are the global parameters as text: a string without its quotes,
// anything else as it was written. Null is a parameter left out.
func (r *request) parameters() map[string]string {
	p := make(map[string]string, len(r.Parameters))
	for name, raw := range r.Parameters {
		if null(raw) {
			continue
		}
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		p[name] = s
	}
	return p
}

// zero reports whether nothing of a place is given.
func zero(p *connect.Place) bool {
	return p.Source == "" && p.Connection == "" && blob.ReferenceOf(*p).IsZero()
}

func null(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func names(ports []service.Port) string {
	s := make([]string, len(ports))
	for i, p := range ports {
		s[i] = p.Name
	}
	return strings.Join(s, ", ")
}
