// Package definition writes the classic web service definition: the document
// of the Azure Resource Manager in which "new" web services were exported,
// edited and deployed again. It is a deployment's graph with its assets, its
// schemas and an example.
package definition

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/wire"
)

// Service is what a definition says besides its deployment.
type Service struct {
	Title       string
	Description string
	Location    string // region
	Settings    service.Settings
	Palette     *module.Palette
	// Address returns where an asset can be read.
	Address func(a service.Asset) (string, error)
}

// ModuleID is the id of a module by its name, as aml://module/{id} has it.
func ModuleID(name string) string {
	sum := sha256.Sum256([]byte("module " + name))
	return hex.EncodeToString(sum[:16])
}

// Encode writes the definition of a deployment.
func Encode(m *service.Manifest, s Service) ([]byte, error) {
	doc, err := graph.Parse(m.Graph)
	if err != nil {
		return nil, fmt.Errorf("read a deployment's graph: %w", err)
	}
	example, err := exampleOf(m)
	if err != nil {
		return nil, err
	}
	p := properties{
		Title: s.Title, Description: s.Description, ExposeSampleData: s.Settings.SampleData,
		Realtime: realtime{s.Settings.Limit()}, Diagnostics: diagnostics{"None"},
		Input: portsOf(m.Inputs, true), Output: portsOf(m.Outputs, false), ExampleRequest: example,
		Assets: map[string]asset{}, Parameters: map[string]value{}, PackageType: "Graph",
	}
	if s.Settings.TraceLevel != "" {
		p.Diagnostics.Level = s.Settings.TraceLevel
	}
	for _, q := range m.Parameters {
		p.Parameters[q.Name] = value{q.Default}
	}
	for _, a := range m.Assets {
		name := a.Resource
		if name == "" {
			name = a.Name
		}
		at, err := s.Address(a)
		if err != nil {
			return nil, err
		}
		p.Assets[a.Name] = asset{Name: name, Type: "Resource", Location: location{at}}
	}
	p.Package = packageOf(doc, s.Palette, p.Assets)
	var b bytes.Buffer
	err = encode(&b, resource{Location: s.Location, Tags: map[string]string{}, Properties: p})
	return b.Bytes(), err
}

// packageOf writes the graph, in which a module is an asset, too. It adds the
// modules to assets.
func packageOf(doc *graph.Document, palette *module.Palette, assets map[string]asset) graphPackage {
	g := graphPackage{Nodes: map[string]node{}, Edges: doc.Edges, Params: map[string]graphParameter{}}
	if g.Edges == nil {
		g.Edges = []graph.Edge{}
	}
	ids := map[string]string{} // of modules, by name and version
	for _, id := range slices.Sorted(maps.Keys(doc.Nodes)) {
		n := doc.Nodes[id]
		out := node{AssetID: n.AssetID, InputID: n.InputID, OutputID: n.OutputID}
		if n.Module != "" {
			key := fmt.Sprint(n.Module, "@", n.CodeVersion)
			if ids[key] == "" {
				ids[key] = unused("module", assets)
				assets[ids[key]] = moduleAsset(n, palette)
			}
			out.AssetID, out.Parameters = ids[key], map[string]value{}
			for name, text := range n.Parameters {
				out.Parameters[name] = value{&text}
			}
		}
		g.Nodes[id] = out
	}
	for _, p := range doc.Params {
		links := p.Links
		if links == nil {
			links = []graph.Link{}
		}
		g.Params[p.Name] = graphParameter{p.Description, p.Type, links}
	}
	return g
}

func unused(prefix string, assets map[string]asset) string {
	for i := 1; ; i++ {
		id := fmt.Sprint(prefix, i)
		if _, taken := assets[id]; !taken {
			return id
		}
	}
}

func moduleAsset(n *graph.Node, palette *module.Palette) asset {
	a := asset{
		Name: n.Module, Type: "Module", Location: location{"aml://module/" + ModuleID(n.Module)},
		Inputs: map[string]port{}, Outputs: map[string]port{}, Metadata: map[string]int{}, Parameters: []parameter{},
	}
	m := palette.Version(n.Module, n.CodeVersion)
	if m == nil {
		m = palette.Lookup(n.Module)
	}
	if m == nil { // of a release that had it
		return a
	}
	a.Metadata["codeVersion"] = m.CodeVersion
	for _, p := range m.Inputs {
		a.Inputs[p.ID] = port{p.Kind}
	}
	for _, p := range m.Outputs {
		a.Outputs[p.ID] = port{p.Kind}
	}
	for i := range m.Params {
		a.Parameters = append(a.Parameters, parameter{m.Params[i].Name, m.Params[i].Type})
	}
	return a
}

// maxEnum is the number of levels up to which they are listed, as in swagger.
const maxEnum = 100

func portsOf(ports []service.Port, in bool) schema {
	s := schema{Type: "object", Properties: members{}}
	for _, p := range ports {
		of := schema{Type: "object", Properties: members{}}
		for i := range p.Schema {
			f := &p.Schema[i]
			c := column(f.Type)
			if n := len(f.Levels); n > 0 && n <= maxEnum && (in || f.Role == frame.Score) {
				c.Enum = f.Levels
			}
			c.Nullable = f.Nullable
			of.Properties = append(of.Properties, property{f.Name, c})
		}
		s.Properties = append(s.Properties, property{p.Name, of})
	}
	return s
}

func column(t frame.Type) schema {
	switch t {
	case frame.Int32:
		return schema{Type: "Integer", Format: "Int32"}
	case frame.Int64:
		return schema{Type: "Integer", Format: "Int64"}
	case frame.Double:
		return schema{Type: "Number", Format: "Double"}
	case frame.Boolean:
		return schema{Type: "Boolean"}
	case frame.DateTime:
		return schema{Type: "String", Format: "Date-time"}
	}
	return schema{Type: "String"}
}

// exampleOf is the example of the help pages, as rows without their names.
func exampleOf(m *service.Manifest) (example, error) {
	var in struct {
		Inputs           map[string]struct{ Values [][]*string }
		GlobalParameters map[string]json.RawMessage
	}
	if err := json.Unmarshal(wire.Example(m, wire.Table, false), &in); err != nil {
		return example{}, fmt.Errorf("read an example: %w", err)
	}
	e := example{Inputs: map[string][][]*string{}, Params: in.GlobalParameters}
	for name, table := range in.Inputs {
		e.Inputs[name] = table.Values
	}
	return e, nil
}
