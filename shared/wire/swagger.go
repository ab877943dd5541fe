package wire

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

// Endpoint is what the description of an endpoint says besides its ports.
type Endpoint struct {
	Title       string // the service's name
	Description string
	Name        string // default, staging, …
	BaseURL     string // scheme://host[:port]
	Path        string // /workspaces/{ws}/services/{ep}
	// SampleData shows rows of the deployment's sample instead of made-up ones.
	SampleData bool
}

// NoDescription is what the classic service says of one that has none.
const NoDescription = "No description provided for this web service."

// maxEnum is the number of levels up to which they are listed.
const maxEnum = 100

// Swagger returns the OpenAPI 2.0 description of an endpoint, swagger.json and
// apidocument alike. The same deployment and endpoint give the same bytes.
//
// Clients are particular about it: the keys of the paths carry their query
// strings, swagger.json comes first and execute second, exactly one key
// matches "/execute?", and the properties of an item are in column order.
func Swagger(m *service.Manifest, e Endpoint) []byte {
	description := e.Description
	if description == "" {
		description = NoDescription
	}
	doc := object{
		{"swagger", "2.0"},
		{"info", object{{"version", "2.0"}, {"title", e.Title}, {"description", description}, {"x-endpoint-name", e.Name}}},
	}
	scheme := "https"
	if u, err := url.Parse(e.BaseURL); err == nil && u.Host != "" && !strings.Contains(u.Host, "[") { // a literal IPv6 address is no host to OpenAPI
		scheme = u.Scheme
		host := u.Host
		if u.Port() == "" {
			host += map[string]string{"http": ":80"}[scheme]
			host += map[string]string{"https": ":443"}[scheme]
		}
		doc = append(doc, member{"host", host})
	}
	doc = append(doc,
		member{"basePath", e.Path},
		member{"schemes", list{scheme}},
		member{"consumes", list{"application/json"}},
		member{"produces", list{"application/json"}},
		member{"securityDefinitions", object{{"endpointKey", object{
			{"type", "apiKey"}, {"name", "Authorization"}, {"in", "header"}, {"description", "Bearer, a blank, and a key of the endpoint"},
		}}}},
		member{"paths", paths(m)},
		member{"definitions", definitions(m, e.SampleData)},
	)
	return appendJSON(nil, doc)
}

// object and list are JSON values that keep their order.
type (
	object []member
	member struct {
		name  string
		value any
	}
	list []any
)

func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, m.name), ':')
			dst = appendJSON(dst, m.value)
		}
		return append(dst, '}')
	case list:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, e)
		}
		return append(dst, ']')
	case string:
		return appendString(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case json.RawMessage:
		return append(dst, v...)
	}
	return append(dst, "null"...)
}

// ref points at a definition.
func ref(name string) object {
	name = strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	return object{{"$ref", "#/definitions/" + url.PathEscape(name)}}
}

func paths(m *service.Manifest) object {
	secured := member{"security", list{object{{"endpointKey", list{}}}}}
	body := func(name, definition string) member {
		return member{"parameters", list{object{{"name", name}, {"in", "body"}, {"required", true}, {"schema", ref(definition)}}}}
	}
	jobID := member{"parameters", list{object{{"name", "jobId"}, {"in", "path"}, {"required", true}, {"type", "string"}}}}
	responses := func(success object) member {
		return member{"responses", object{
			{"200", success},
			{"default", object{{"description", "Error"}, {"schema", ref("ErrorResponse")}}},
		}}
	}
	p := object{{"/swagger.json", object{{"get", object{
		{"summary", "Get swagger API document for the web service"},
		{"operationId", "getSwaggerDocument"},
		{"responses", object{{"200", object{{"description", "The swagger API document"}}}}},
	}}}}}
	if !m.BatchOnly {
		p = append(p, member{"/execute?api-version=2.0&format=swagger", object{{"post", object{
			{"summary", "Execute the web service and get a response synchronously"},
			{"operationId", "execute"},
			body("executeRequest", "ExecutionRequest"),
			responses(object{{"description", "OK"}, {"schema", ref("ExecutionResponse")}}),
			secured,
		}}}})
	}
	return append(p,
		member{"/jobs?api-version=2.0", object{{"post", object{
			{"summary", "Submit a batch job; it waits to be started"},
			{"operationId", "submitBatchJob"},
			body("batchRequest", "BatchRequest"),
			responses(object{{"description", "The id of the job"}, {"schema", object{{"type", "string"}}}}),
			secured,
		}}}},
		member{"/jobs/{jobId}?api-version=2.0", object{
			{"get", object{
				{"summary", "Get the status and the results of a batch job"},
				{"operationId", "getBatchJob"},
				jobID,
				responses(object{{"description", "OK"}, {"schema", ref("BatchStatus")}}),
				secured,
			}},
			{"delete", object{
				{"summary", "Cancel a batch job"},
				{"operationId", "cancelBatchJob"},
				jobID,
				responses(object{{"description", "OK"}}),
				secured,
			}},
		}},
		member{"/jobs/{jobId}/start?api-version=2.0", object{{"post", object{
			{"summary", "Start a batch job"},
			{"operationId", "startBatchJob"},
			jobID,
			responses(object{{"description", "OK"}}),
			secured,
		}}}},
	)
}

func definitions(m *service.Manifest, sampleData bool) object {
	var d object
	text := object{{"type", "string"}}
	array := func(of object) object { return object{{"type", "array"}, {"items", of}} }
	structure := func(properties object) object { return object{{"type", "object"}, {"properties", properties}} }

	parameters, required := parameterSchema(m)
	if !m.BatchOnly {
		request := structure(object{{"Inputs", ref("ExecutionInputs")}, {"GlobalParameters", ref("GlobalParameters")}})
		if len(m.Inputs) > 0 || required {
			need := list{}
			if len(m.Inputs) > 0 {
				need = append(need, "Inputs")
			}
			if required {
				need = append(need, "GlobalParameters")
			}
			request = append(request, member{"required", need})
		}
		request = append(request, member{"example", json.RawMessage(Example(m, Rows, sampleData))})

		inputs, results := object{}, object{}
		var items object
		used := map[string]bool{}
		for _, in := range m.Inputs {
			inputs = append(inputs, member{in.Name, array(ref(in.Name + "Item"))})
			items = append(items, member{in.Name + "Item", item(in.Schema, true)})
			used[in.Name] = true
		}
		for _, out := range m.Outputs {
			name := out.Name + "Item"
			if used[out.Name] { // an input of the same name
				name = out.Name + "OutputItem"
			}
			results = append(results, member{out.Name, array(ref(name))})
			items = append(items, member{name, item(out.Schema, false)})
		}
		d = append(d,
			member{"ExecutionRequest", request},
			member{"ExecutionInputs", structure(inputs)},
			member{"ExecutionResponse", structure(object{{"Results", ref("ExecutionResults")}})},
			member{"ExecutionResults", structure(results)},
		)
		d = append(d, items...)
	}
	blobs := object{{"type", "object"}, {"additionalProperties", ref("BlobReference")}}
	return append(d,
		member{"GlobalParameters", parameters},
		member{"BatchRequest", structure(object{
			{"Input", ref("BlobReference")},
			{"Inputs", blobs},
			{"Outputs", blobs},
			{"GlobalParameters", ref("GlobalParameters")},
		})},
		member{"BlobReference", append(structure(object{{"ConnectionString", text}, {"RelativeLocation", text}, {"BaseLocation", text}, {"SasBlobToken", text}}),
			member{"description", "A file. The extension of its RelativeLocation says what it is: .csv, .tsv, .jsonl, .arff, .parquet or .svmlight, all but .parquet with .gz or .zst behind it"})},
		member{"BatchStatus", structure(object{
			{"StatusCode", object{{"type", "string"}, {"enum", list{"NotStarted", "Running", "Failed", "Cancelled", "Finished"}}}},
			{"Results", append(append(object{}, blobs...), member{"x-ms-isnullable", true})},
			{"Details", append(append(object{}, text...), member{"x-ms-isnullable", true})},
		})},
		member{"ErrorResponse", structure(object{{"error", structure(object{
			{"code", text},
			{"message", text},
			{"details", array(structure(object{{"code", text}, {"target", text}, {"message", text}}))},
		})}})},
	)
}

// item is the schema of a row. Of an output only the scores' own levels are
// listed: an echoed column may hold a text outside its levels.
func item(s frame.Schema, in bool) object {
	properties, required := object{}, list{}
	for i := range s {
		f := &s[i]
		p := columnType(f.Type)
		if f.Categorical() {
			if n := len(f.Levels); n > 0 && n <= maxEnum && (in || f.Role == frame.Score) {
				levels := make(list, n)
				for k, v := range f.Levels {
					levels[k] = v
				}
				p = append(p, member{"enum", levels})
			}
			p = append(p, member{"x-ms-isordered", false})
		}
		if f.Nullable {
			p = append(p, member{"x-ms-isnullable", true})
		}
		properties = append(properties, member{f.Name, p})
		if !f.Optional {
			required = append(required, f.Name)
		}
	}
	o := object{{"type", "object"}}
	if in && len(required) > 0 {
		o = append(o, member{"required", required})
	}
	return append(o, member{"properties", properties})
}

func columnType(t frame.Type) object {
	switch t {
	case frame.Int32:
		return object{{"type", "integer"}, {"format", "int32"}}
	case frame.Int64:
		return object{{"type", "integer"}, {"format", "int64"}}
	case frame.Double:
		return object{{"type", "number"}, {"format", "double"}}
	case frame.Boolean:
		return object{{"type", "boolean"}}
	case frame.DateTime:
		return object{{"type", "string"}, {"format", "date-time"}}
	}
	return object{{"type", "string"}}
}

// parameterSchema is the schema of GlobalParameters, and whether any is
// required.
func parameterSchema(m *service.Manifest) (o object, anyRequired bool) {
	o = object{{"type", "object"}}
	properties, required := object{}, list{}
	for _, p := range m.Parameters {
		s := parameterType(p)
		if p.Description != "" {
			s = append(s, member{"description", p.Description})
		}
		if p.Default != nil {
			s = append(s, member{"default", parameterValue(p, *p.Default)})
		} else {
			required = append(required, p.Name)
		}
		properties = append(properties, member{p.Name, s})
	}
	if len(required) > 0 {
		o = append(o, member{"required", required})
	}
	if len(properties) > 0 {
		o = append(o, member{"properties", properties})
	}
	return o, len(required) > 0
}

func parameterType(p service.Parameter) object {
	switch p.Type {
	case service.ParamInt:
		return object{{"type", "integer"}}
	case service.ParamFloat, service.ParamDouble:
		return object{{"type", "number"}}
	case service.ParamBoolean:
		return object{{"type", "boolean"}}
	case service.ParamSecret:
		return object{{"type", "string"}, {"format", "password"}}
	}
	o := object{{"type", "string"}}
	if len(p.Options) > 0 {
		options := make(list, len(p.Options))
		for i, v := range p.Options {
			options[i] = v
		}
		o = append(o, member{"enum", options})
	}
	return o
}

// parameterValue is a value's text as JSON of the parameter's type, where it
// is that, and as a string otherwise.
func parameterValue(p service.Parameter, text string) any {
	switch p.Type {
	case service.ParamInt, service.ParamFloat, service.ParamDouble, service.ParamBoolean:
		if v := strings.ToLower(text); json.Valid([]byte(v)) && v != "null" && !strings.ContainsAny(v, `"[{`) {
			return json.RawMessage(v)
		}
	}
	return text
}
