package runs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// useCached is the parameter of a module that reads outside with which it need
// not read again. The password that it read with is no part of what it read.
const useCached = "Use cached results"

// key identifies what vertex i computes: module, code version and revision,
// parameters (a seed is one of them) and the digests of its inputs. It is "" where the
// results may not be used again: the module reads outside, or a secret decides
// what it does.
func (x *executor) key(i int) (string, error) {
	v := &x.g.Nodes[i]
	h := sha256.New()
	put := func(parts ...string) {
		for _, p := range parts {
			fmt.Fprintf(h, "%d:%s", len(p), p)
		}
	}
	put("portico/node/2")
	if v.AssetID != "" {
		a := x.run.Assets[v.AssetID]
		put("asset", string(a.Kind), a.Digest)
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	if v.Mod.Outside && (v.Mod.Param(useCached) == nil || !v.Values.Bool(useCached)) {
		return "", nil
	}
	put(v.Mod.Name, fmt.Sprint(v.Mod.CodeVersion), fmt.Sprint(v.Mod.Revision))
	for k := range v.Mod.Params {
		if p := &v.Mod.Params[k]; p.Secret() && !v.Mod.Outside && v.Values.Text(p.Name) != "" {
			return "", nil
		}
	}
	params := v.Values.NotDefault()
	for _, name := range sortedKeys(params) {
		put(name, params[name])
	}
	for _, ref := range v.In {
		if ref == graph.None {
			put("-")
			continue
		}
		res, err := x.result(ref)
		if err != nil {
			return "", err
		}
		put(res.Digest)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// result returns what a node that has finished gave at a port.
func (x *executor) result(ref graph.Ref) (Result, error) {
	return resultAt(x.nodes, x.g, ref)
}

func resultAt(nodes map[string]*Node, g *graph.Graph, ref graph.Ref) (Result, error) {
	id := g.Nodes[ref.Node].ID
	n := nodes[id]
	if n == nil || n.State != Finished || ref.Port >= len(n.Results) {
		return Result{}, fault.New(fault.Internal, "", "node %q has no result at port %d", id, ref.Port)
	}
	return n.Results[ref.Port], nil
}

// value returns the result at ref, from memory or from its artifact.
func (x *executor) value(ctx context.Context, ref graph.Ref) (module.Value, error) {
	if v, ok := x.values[ref]; ok {
		return v, nil
	}
	res, err := x.result(ref)
	if err != nil {
		return module.Value{}, err
	}
	v, err := x.r.load(ctx, x.run.Workspace, res)
	if err == nil && x.uses[ref] > 1 {
		x.values[ref] = v
	}
	return v, err
}

// load reads a result.
func (r *Runs) load(ctx context.Context, ws string, res Result) (module.Value, error) {
	if res.Kind != service.Dataset {
		body, err := r.artifact(ctx, ws, res.Digest, "the node's result")
		return module.Value{Kind: res.Kind, Artifact: body}, err
	}
	f := &frame.Frame{}
	err := r.columns(ctx, ws, res, func(c *frame.Column) error {
		f.Cols = append(f.Cols, c)
		return nil
	})
	if err != nil {
		return module.Value{}, err
	}
	return module.Table(f), nil
}

// columns reads a table column by column.
func (r *Runs) columns(ctx context.Context, ws string, res Result, each func(*frame.Column) error) error {
	err := r.artifacts.Read(ctx, ws, res.Digest, func(in io.Reader, size int64) error {
		return fault.Wrap(frame.ReadColumns(in, size, each), fault.Internal, "decode a node's result")
	})
	return unread(err, "the node's result")
}

// drop forgets the inputs of vertex i that nobody else needs.
func (x *executor) drop(i int) {
	for _, ref := range x.g.Nodes[i].In {
		if ref == graph.None {
			continue
		}
		if x.uses[ref]--; x.uses[ref] == 0 {
			delete(x.values, ref)
		}
	}
}

func cachePartition(ws, key string) string { return ws + ".cache." + key[:2] }

// cached returns the results kept under key; nil where there are none, or
// where an artifact of theirs is gone. It touches them, so that garbage
// collection leaves them to this run.
func (x *executor) cached(ctx context.Context, key string) ([]Result, error) {
	if key == "" {
		return nil, nil
	}
	e, err := x.r.tables.Get(ctx, table, cachePartition(x.run.Workspace, key), key)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var results []Result
	if err := decode(e.Props, "results", &results); err != nil {
		return nil, err
	}
	for _, res := range results {
		for _, digest := range []string{res.Digest, res.Schema, res.View} {
			if digest == "" {
				continue
			}
			err := x.r.artifacts.Touch(ctx, x.run.Workspace, digest)
			if fault.Is(err, fault.NotFound) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return results, x.r.usedCache(ctx, e)
}

// usedCache notes that a row of the cache was used. Whoever notes it at the
// same time does as well.
func (r *Runs) usedCache(ctx context.Context, e storage.Entity) error {
	if now().Sub(e.Props.Time("used")) < usedAge {
		return nil
	}
	props := maps.Clone(e.Props)
	props["used"] = now()
	_, err := r.tables.Apply(ctx, table, e.Partition, storage.Op{Kind: storage.Replace, Row: e.Row, IfMatch: e.ETag, Props: props})
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// artifact reads what a run made.
func (r *Runs) artifact(ctx context.Context, ws, digest, what string) ([]byte, error) {
	body, err := r.artifacts.Get(ctx, ws, digest)
	return body, unread(err, what)
}

// unread says why something that a run made cannot be read. It is gone where
// the run is older than what is kept.
func unread(err error, what string) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "ResultNotFound", "%s is kept no longer: run the experiment again", what).Because(err)
	}
	return fault.Wrap(err, fault.Unavailable, "read "+what)
}

// schema reads the schema of a table that a run gave.
func (r *Runs) schema(ctx context.Context, ws string, res Result) (frame.Schema, error) {
	body, err := r.artifact(ctx, ws, res.Schema, "the schema of the node's result")
	if err != nil {
		return nil, err
	}
	var s frame.Schema
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "decode the schema of a node's result")
	}
	return s, nil
}
