package manipulation

import (
	"context"
	"slices"
	"time"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/sqltable"
	"github.com/portico-ml/portico/shared/service"
)

// How long a script may take in a call of a service and in a run.
const (
	scriptInCall = time.Minute
	scriptInRun  = 15 * time.Minute
)

// ApplySQLTransformation runs a SQLite script over up to three tables.
func ApplySQLTransformation() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Apply SQL Transformation", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{
				{ID: "Table1", Kind: service.Dataset, Doc: "The table t1."},
				{ID: "Table2", Kind: service.Dataset, Optional: true, Doc: "The table t2."},
				{ID: "Table3", Kind: service.Dataset, Optional: true, Doc: "The table t3."},
			},
			Outputs: []module.Port{datasetOut},
			Params: []module.Param{{
				Name: "SQL Query Script", Type: module.Script, Default: "select * from t1;", Schema: true,
				Doc: "Statements in SQLite's language, separated by semicolons; the last, a SELECT, gives the result. Names with blanks go in \"double quotes\" or [brackets].",
			}},
			Doc: "Runs an SQLite script over t1, t2 and t3. Missing cells are NULL, truth values 0 and 1, dates texts as 2024-05-17 11:22:33. The script may make tables and views of its own; it reaches no files, and random() gives the same numbers in every run. Types of the result are those of the run.",
		},
		Make: func(ctx context.Context, c *module.Call) ([]*frame.Frame, error) {
			schemas, tables := make([]frame.Schema, len(c.Inputs)), make([]*frame.Frame, len(c.Inputs))
			for i, v := range c.Inputs {
				if v.Frame != nil {
					schemas[i], tables[i] = v.Frame.Schema(), v.Frame
				}
			}
			ctx, cancel := context.WithTimeout(ctx, scriptInRun)
			defer cancel()
			script, err := sqltable.Compile(ctx, c.Params.Text("SQL Query Script"), schemas)
			if err != nil {
				return nil, err
			}
			out, err := script.Run(ctx, tables, nil)
			return []*frame.Frame{out}, err
		},
		Bind: bindSQL,
	}
}

func bindSQL(b *module.Binding) (*module.Bound, error) {
	schemas := make([]frame.Schema, len(b.Inputs))
	for i, in := range b.Inputs {
		if in.Connected {
			schemas[i] = in.Schema
		}
	}
	within := func(f func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(context.Background(), scriptInCall)
		defer cancel()
		return f(ctx)
	}
	var script *sqltable.Script
	var out frame.Schema
	err := within(func(ctx context.Context) (err error) {
		if script, err = sqltable.Compile(ctx, b.Params.Text("SQL Query Script"), schemas); err != nil {
			return err
		}
		if b.Pinned != nil {
			out = b.Pinned[0]
			return nil
		}
		// Without a run to tell the types, those of tables without rows.
		empty := make([]*frame.Frame, len(schemas))
		for i, s := range schemas {
			if s != nil {
				l, err := frame.NewLayout(s)
				if err != nil {
					return module.Errorf(17, "%v", err)
				}
				empty[i] = l.New(0)
			}
		}
		f, err := script.Run(ctx, empty, nil)
		if err == nil {
			out = f.Schema()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	bound := &module.Bound{
		Outputs: []frame.Schema{out}, Reads: make([][]int, len(schemas)),
		From: [][]module.Source{slices.Repeat([]module.Source{module.Computed}, len(out))},
	}
	for i := range schemas {
		bound.Reads[i] = script.Reads(i)
	}
	bound.Op = module.OpFunc(func(in, dst []*frame.Frame) error {
		return within(func(ctx context.Context) error {
			f, err := script.Run(ctx, in, out)
			if err == nil {
				dst[0].Cols = f.Cols
			}
			return err
		})
	})
	return bound, nil
}
