package runs

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/storage"
)

// made is what a node gave, on its way into the store.
type made struct {
	results []Result
	files   []file
}

// file is an artifact that is written when it is stored.
type file struct {
	artifact.Sum
	write func(io.Writer) error
}

func bytesOf(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

// sum names what vertex i gave by its digests, and keeps in memory what other
// nodes need of it.
func (x *executor) sum(i int, values []module.Value) (*made, error) {
	m := &made{results: make([]Result, len(values))}
	var names []*string // where the digests of the files go
	add := func(to *string, write func(io.Writer) error) {
		names, m.files = append(names, to), append(m.files, file{write: write})
	}
	for port, value := range values {
		ref := graph.Ref{Node: i, Port: port}
		res := &m.results[port]
		res.Port, res.Kind = x.g.Output(ref).ID, value.Kind
		if f := value.Frame; f == nil {
			add(&res.Digest, bytesOf(value.Artifact))
		} else {
			if err := f.Check(); err != nil {
				return nil, fault.New(fault.Internal, "", "module %s: %v", x.g.Nodes[i].Module, err)
			}
			res.Rows, res.Columns = f.Rows(), len(f.Cols)
			add(&res.Digest, func(w io.Writer) error { return frame.Write(w, f) })
			add(&res.Schema, bytesOf([]byte(encode(f.Schema()))))
		}
		if value.View != nil {
			add(&res.View, bytesOf(value.View))
		}
		if x.uses[ref] > 0 {
			x.values[ref] = value
		}
	}
	errs := make([]error, len(m.files))
	new(learn.Session).Each(len(m.files), func(_, k int) {
		f := &m.files[k]
		f.Sum, errs[k] = artifact.SumOf(f.write)
		*names[k] = f.Digest
	})
	return m, errors.Join(errs...)
}

// storing is the way of a node's results into the store, beside the work on
// the node after it.
type storing struct {
	vertex *graph.Vertex
	node   *Node
	done   chan struct{}
	err    error
	crash  any // a panic, carried to the executor's goroutine
}

// store begins to keep what node n gave, and writes that it has finished once
// that is done. Where it cannot be done, work on further nodes is given up.
func (x *executor) store(ctx context.Context, v *graph.Vertex, n *Node, key string, m *made) {
	s := &storing{vertex: v, node: n, done: make(chan struct{})}
	x.storing = s
	go func() {
		defer close(s.done)
		defer func() {
			if s.crash = recover(); s.crash != nil {
				s.err = fault.New(fault.Internal, "", "storing panicked")
			}
			if s.err != nil {
				x.giveUp(s.err)
			}
		}()
		if s.err = x.keep(ctx, key, m); s.err == nil {
			n.Ended = now()
			s.err = x.step(ctx, n)
		}
	}()
}

// stored returns once nothing is on its way into the store, with the error of
// what did not get there.
func (x *executor) stored() error {
	if x.storing == nil {
		return nil
	}
	<-x.storing.done
	return x.storing.err
}

// settle is stored, and says what follows for the node whose results they are.
func (x *executor) settle(ctx context.Context) (*Node, *Failure, error) {
	if x.stored() == nil {
		return nil, nil, nil
	}
	s := x.storing
	if s.crash != nil {
		panic(s.crash)
	}
	s.node.Results, s.node.Ended = nil, time.Time{}
	failure, err := x.outcome(ctx, s.vertex, s.node, s.err)
	return s.node, failure, err
}

// keep stores what a node gave, and under key its digests.
func (x *executor) keep(ctx context.Context, key string, m *made) error {
	size := int64(0)
	for _, f := range m.files {
		if err := x.r.artifacts.Write(ctx, x.run.Workspace, f.Sum, f.write); err != nil {
			return err
		}
		size += f.Bytes
	}
	if key == "" {
		return nil
	}
	_, err := x.r.tables.Apply(ctx, table, cachePartition(x.run.Workspace, key),
		storage.Op{Kind: storage.Upsert, Row: key, Props: storage.Props{"results": encode(m.results), "created": now(), "used": now(), "bytes": size}})
	return err
}
