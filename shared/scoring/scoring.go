// Package scoring runs a deployment: frames in, frames out. It is the one code
// path under RRS, BES, runs and tests, so that their answers cannot differ.
//
// Load compiles a manifest into a plan: every node of its graph bound to the
// schemas pinned at publish. (A graph that trains has no plan: see Execute.) A Session is the working memory of one call; what
// it needs grows to the largest call it has seen and is then reused. A row's
// answer does not depend on the rows that come with it, unless a whole-table
// module is in the graph.
package scoring

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/palette"
	"github.com/portico-ml/portico/shared/service"
)

// Assets reads the artifact of a digest.
type Assets func(ctx context.Context, digest string) ([]byte, error)

// Deployment is a manifest compiled and loaded, immutable, for any number of
// concurrent sessions.
type Deployment struct {
	Digest   string
	Manifest *service.Manifest

	graph   *graph.Graph
	palette *module.Palette
	assets  map[string]module.Input // by the graph's asset id
	pins    map[graph.Ref]frame.Schema
	inputs  []*frame.Layout
	outputs []*frame.Layout
	size    int64
	// interpreted says that some module has no op: there is no plan.
	interpreted bool

	base     *plan // with the default parameters; nil where a required one has none
	variants variants
	sessions sync.Pool
}

// ManifestFormat is the manifest format that this program writes.
const ManifestFormat = 1

// Load verifies manifest against digest, reads its assets and compiles its
// plan. A module code version that this program does not have is
// fault.Unavailable: the experiment must be published again.
func Load(ctx context.Context, digest string, manifest []byte, assets Assets) (*Deployment, error) {
	if got := artifact.Digest(manifest); got != digest {
		return nil, fault.New(fault.Internal, "", "manifest %s is damaged: its bytes hash to %s", digest, got)
	}
	return load(ctx, digest, manifest, assets)
}

func load(ctx context.Context, digest string, manifest []byte, assets Assets) (*Deployment, error) {
	d := &Deployment{Digest: digest, Manifest: new(service.Manifest), palette: palette.Shared(), size: int64(len(manifest))}
	if err := json.Unmarshal(manifest, d.Manifest); err != nil {
		return nil, fault.New(fault.Package, "FormatError", "the manifest is not valid JSON").Because(err)
	}
	if d.Manifest.Format != ManifestFormat {
		return nil, fault.New(fault.Unavailable, "NoMoreResources", "the deployment has manifest format %d, this release reads %d: publish again", d.Manifest.Format, ManifestFormat)
	}
	if err := d.open(); err != nil {
		return nil, err
	}
	if err := d.fetch(ctx, assets); err != nil {
		return nil, err
	}
	if err := d.layouts(); err != nil {
		return nil, err
	}
	values, missing := d.defaults()
	if len(missing) == 0 && !d.interpreted {
		p, err := d.compile(nil, values)
		if err != nil {
			return nil, err
		}
		d.base = p
		d.size += p.size
	}
	return d, nil
}

// open parses the graph and resolves it against the palette.
func (d *Deployment) open() error {
	doc, err := graph.Parse(d.Manifest.Graph)
	if err != nil {
		return fault.Wrap(err, fault.Package, "parse the graph of the deployment")
	}
	for _, n := range doc.Nodes {
		if n.Module == "" {
			continue
		}
		if _, err := d.palette.NeedVersion(n.Module, n.CodeVersion); err != nil {
			return err
		}
	}
	g, problems := graph.Open(doc, d.palette)
	if err := graph.Fault(problems); err != nil {
		return err
	}
	for i := range g.Nodes {
		m := g.Nodes[i].Mod
		d.interpreted = d.interpreted || m != nil && m.Bind == nil
	}
	d.graph = g
	return nil
}

// fetch reads the assets.
func (d *Deployment) fetch(ctx context.Context, assets Assets) error {
	d.assets = make(map[string]module.Input, len(d.Manifest.Assets))
	for _, a := range d.Manifest.Assets {
		body, err := assets(ctx, a.Digest)
		if err != nil {
			return fault.Wrap(err, fault.Unavailable, "read asset "+a.Name)
		}
		in := module.Input{Artifact: body, Connected: true}
		if a.Kind == service.Dataset {
			if in.Const, err = frame.Decode(body); err != nil {
				return fault.Wrap(err, fault.Internal, "decode asset "+a.Name)
			}
			in.Artifact, in.Schema = nil, in.Const.Schema()
		}
		d.size += int64(len(body))
		d.assets[a.Name] = in
	}
	for id := range d.graph.Doc.Assets {
		if _, ok := d.assets[id]; !ok {
			return fault.New(fault.Package, "ValidationError", "the manifest lacks asset %q of its graph", id)
		}
	}
	return nil
}

// layouts compiles the schemas of the ports.
func (d *Deployment) layouts() error {
	d.pins = make(map[graph.Ref]frame.Schema, len(d.Manifest.Pins))
	for _, p := range d.Manifest.Pins {
		d.pins[graph.Ref{Node: d.graph.Vertex(p.Node), Port: p.Port}] = p.Schema
	}
	compile := func(ports []service.Port) ([]*frame.Layout, error) {
		layouts := make([]*frame.Layout, len(ports))
		for i, p := range ports {
			var err error
			if layouts[i], err = frame.NewLayout(p.Schema); err != nil {
				return nil, fault.New(fault.Package, "ValidationError", "port %q: %v", p.Name, err)
			}
		}
		return layouts, nil
	}
	var err error
	if d.inputs, err = compile(d.Manifest.Inputs); err != nil {
		return err
	}
	for _, l := range d.inputs {
		l.Label = d.learned(l.Schema)
	}
	if d.outputs, err = compile(d.Manifest.Outputs); err != nil {
		return err
	}
	if len(d.graph.Inputs) != len(d.inputs) || len(d.graph.Outputs) != len(d.outputs) {
		return fault.New(fault.Package, "ValidationError", "the manifest has %d inputs and %d outputs, its graph %d and %d",
			len(d.inputs), len(d.outputs), len(d.graph.Inputs), len(d.graph.Outputs))
	}
	return nil
}

// learned is the column of an input's schema that a module of the graph learns
// as its label; "" where none does.
func (d *Deployment) learned(s frame.Schema) string {
	const label = "Label column"
	for i := range d.graph.Nodes {
		v := &d.graph.Nodes[i]
		if v.Mod == nil || v.Mod.Param(label) == nil {
			continue
		}
		if picked, err := v.Values.Columns(label).Resolve(s); err == nil && len(picked) == 1 {
			return s[picked[0]].Name
		}
	}
	return ""
}

// input returns the position in the manifest of the Web Service Input called
// name, or -1.
func (d *Deployment) input(name string) int {
	return slices.IndexFunc(d.Manifest.Inputs, func(p service.Port) bool { return p.Name == name })
}

// Size is the approximate memory the deployment holds, in bytes.
func (d *Deployment) Size() int64 { return d.size }

// Whole reports whether a call's rows must be scored together.
func (d *Deployment) Whole() bool { return d.Manifest.Whole }

// Input returns the compiled layout of the i-th input, in the manifest's order.
func (d *Deployment) Input(i int) *frame.Layout { return d.inputs[i] }

// Output returns the compiled layout of the i-th output.
func (d *Deployment) Output(i int) *frame.Layout { return d.outputs[i] }

// Counts are facts about the rows of one Score.
type Counts struct {
	Rows          int
	Missing       int // missing cells in columns a model reads
	UnknownLevels int
}

// mismatch is a plan that does not give what was pinned.
func mismatch(node, format string, args ...any) error {
	return fault.New(fault.Package, "ValidationError", "node %q: %s", node, fmt.Sprintf(format, args...)).At(node)
}
