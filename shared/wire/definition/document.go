package definition

import (
	"bytes"
	"encoding/json"

	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// The document, in the order of its members.
type (
	resource struct {
		Location   string            `json:"location"`
		Tags       map[string]string `json:"tags"`
		Properties properties        `json:"properties"`
	}
	properties struct {
		Title            string           `json:"title"`
		Description      string           `json:"description"`
		ReadOnly         bool             `json:"readOnly"`
		ExposeSampleData bool             `json:"exposeSampleData"`
		Realtime         realtime         `json:"realtimeConfiguration"`
		Diagnostics      diagnostics      `json:"diagnostics"`
		Input            schema           `json:"input"`
		Output           schema           `json:"output"`
		ExampleRequest   example          `json:"exampleRequest"`
		Assets           map[string]asset `json:"assets"`
		Parameters       map[string]value `json:"parameters"`
		PayloadsInBlob   bool             `json:"payloadsInBlobStorage"`
		PackageType      string           `json:"packageType"`
		Package          graphPackage     `json:"package"`
	}
	realtime struct {
		MaxConcurrentCalls int `json:"maxConcurrentCalls"`
	}
	diagnostics struct {
		Level string `json:"level"`
	}
	example struct {
		Inputs map[string][][]*string     `json:"inputs"`
		Params map[string]json.RawMessage `json:"globalParameters"`
	}

	// schema is that of a port, whose properties are its columns, or of a column.
	schema struct {
		Type       string   `json:"type"`
		Format     string   `json:"format,omitempty"`
		Enum       []string `json:"enum,omitempty"`
		Nullable   bool     `json:"x-ms-isnullable,omitempty"`
		Properties members  `json:"properties,omitzero"`
	}
	members  []property
	property struct {
		name string
		schema
	}

	asset struct {
		Name       string          `json:"name"`
		Type       string          `json:"type"`
		Location   location        `json:"locationInfo"`
		Inputs     map[string]port `json:"inputPorts,omitzero"`
		Outputs    map[string]port `json:"outputPorts,omitzero"`
		Metadata   map[string]int  `json:"metadata,omitzero"`
		Parameters []parameter     `json:"parameters,omitzero"`
	}
	location struct {
		URI string `json:"uri"`
	}
	port struct {
		Type service.PortKind `json:"type"`
	}
	parameter struct {
		Name string      `json:"name"`
		Type module.Type `json:"parameterType"`
	}
	value struct {
		Value *string `json:"value"` // null = none
	}

	graphPackage struct {
		Nodes  map[string]node           `json:"nodes"`
		Edges  []graph.Edge              `json:"edges"`
		Params map[string]graphParameter `json:"graphParameters"`
	}
	node struct {
		AssetID    string           `json:"assetId,omitempty"`
		InputID    string           `json:"inputId,omitempty"`
		OutputID   string           `json:"outputId,omitempty"`
		Parameters map[string]value `json:"parameters,omitempty"`
	}
	graphParameter struct {
		Description string            `json:"description"`
		Type        service.ParamType `json:"type"`
		Links       []graph.Link      `json:"links"`
	}
)

// MarshalJSON writes an object whose members keep their order.
func (ms members) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range ms {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encode(&b, m.name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := encode(&b, m.schema); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode appends v without HTML escaping.
func encode(b *bytes.Buffer, v any) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	if err == nil {
		b.Truncate(b.Len() - 1) // the newline
	}
	return err
}
