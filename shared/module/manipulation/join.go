package manipulation

import (
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const (
	innerJoin     = "Inner Join"
	leftOuterJoin = "Left Outer Join"
	fullOuterJoin = "Full Outer Join"
	leftSemiJoin  = "Left Semi-Join"
)

// maxJoined is the number of rows above which a join is refused: many rows of
// one key on both sides multiply.
const maxJoined = 1 << 28

// JoinData joins two tables on key columns.
func JoinData() *module.Module {
	keepsKeys := &module.When{Param: "Join type", Is: []string{innerJoin, leftOuterJoin, fullOuterJoin}}
	return &module.Module{
		Spec: module.Spec{
			Name: "Join Data", Aliases: []string{"Join"},
			Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{
				{ID: "Dataset1", Kind: service.Dataset, Doc: "The left table."},
				{ID: "Dataset2", Kind: service.Dataset, Doc: "The right table."},
			},
			Outputs: []module.Port{datasetOut},
			Params: []module.Param{
				{
					Name: "Join key columns for L", Type: module.ColumnPicker, Required: true, Schema: true,
					Doc: "The key columns of the left table. A list of names pairs them with the right table's in the order given.",
				},
				{
					Name: "Join key columns for R", Type: module.ColumnPicker, Required: true, Schema: true,
					Doc: "The key columns of the right table, as many as of the left.",
				},
				{
					Name: "Match case", Type: module.Boolean, Default: "true",
					Doc: "Whether texts in key columns must agree in case.",
				},
				{
					Name: "Join type", Type: module.Enumerated, Default: innerJoin, Schema: true,
					Options: []string{innerJoin, leftOuterJoin, fullOuterJoin, leftSemiJoin},
					Doc:     "Inner: rows whose keys agree. Left outer: besides, the other left rows. Full outer: besides, the other right rows. Left semi: the left rows, each once, whose key the right table has.",
				},
				{
					Name: "Keep right key columns in joined table", Type: module.Boolean, Default: "true", Schema: true, When: keepsKeys,
					Doc: "Keep the key columns of the right table too. Without them, a full outer join fills the left ones from the right.",
				},
			},
			Doc: "Joins two tables. Rows come in the left table's order, for each the right rows in theirs; a missing key agrees with nothing. A name that the left table has already gets the suffix (2).",
		},
		Bind: bindJoin,
	}
}

// join is a join compiled for two schemas.
type join struct {
	how         string
	left, right []keyPart
	out         []joined
}

// joined is one output column: a column of one side, or of both where the keys
// of the right fill up those of the left.
type joined struct {
	field       frame.Field
	left, right int // -1 for none
}

func bindJoin(b *module.Binding) (*module.Bound, error) {
	left, right := b.Inputs[0].Schema, b.Inputs[1].Schema
	lk, err := b.Params.Columns("Join key columns for L").Resolve(left)
	if err != nil {
		return nil, err
	}
	rk, err := b.Params.Columns("Join key columns for R").Resolve(right)
	if err != nil {
		return nil, err
	}
	switch {
	case len(lk) == 0 || len(rk) == 0:
		return nil, module.Errorf(20, "no key column is selected of one of the tables")
	case len(lk) != len(rk):
		return nil, module.Errorf(27, "%d key columns of the left table for %d of the right", len(lk), len(rk))
	}
	j := &join{how: b.Params.Text("Join type")}
	fold := !b.Params.Bool("Match case")
	for k := range lk {
		l, r := left[lk[k]], right[rk[k]]
		if _, err := unite(l, r); err != nil {
			return nil, module.Errorf(16, "key column %q of the left table is %s, key column %q of the right is %s", l.Name, l.Type, r.Name, r.Type).At(l.Name)
		}
		number := l.Type == frame.Double || r.Type == frame.Double
		j.left = append(j.left, keyPart{lk[k], number, fold})
		j.right = append(j.right, keyPart{rk[k], number, fold})
	}
	if err := j.columns(left, right, lk, rk, b.Params.Bool("Keep right key columns in joined table")); err != nil {
		return nil, err
	}
	bound := &module.Bound{Op: module.OpFunc(j.apply), Outputs: []frame.Schema{nil}, From: [][]module.Source{nil}, Reads: [][]int{lk, rk}}
	for _, o := range j.out {
		from := module.Source{Port: 0, Col: o.left}
		switch {
		case o.left >= 0 && o.right >= 0:
			from = module.Computed
		case o.left < 0:
			from = module.Source{Port: 1, Col: o.right}
		}
		bound.Outputs[0] = append(bound.Outputs[0], o.field)
		bound.From[0] = append(bound.From[0], from)
	}
	return bound, nil
}

// columns decides the output columns.
func (j *join) columns(left, right frame.Schema, lk, rk []int, keepRight bool) error {
	for i, f := range left {
		o := joined{f, i, -1}
		if k := slices.Index(lk, i); k >= 0 && j.how == fullOuterJoin && !keepRight {
			var err error
			if o.field, err = unite(f, right[rk[k]]); err != nil {
				return err
			}
			o.right = rk[k]
		} else if j.how == fullOuterJoin {
			o.field.Nullable = true
		}
		j.out = append(j.out, o)
	}
	if j.how == leftSemiJoin {
		return nil
	}
	var without []int
	if !keepRight {
		without = rk
	}
	fields := beside(left, right, without)[len(left):]
	for i := range right {
		if slices.Contains(without, i) {
			continue
		}
		fields[0].Nullable = fields[0].Nullable || j.how != innerJoin
		j.out = append(j.out, joined{fields[0], -1, i})
		fields = fields[1:]
	}
	return nil
}

func (j *join) apply(in, out []*frame.Frame) error {
	left, right, err := j.match(in[0], in[1])
	if err != nil {
		return err
	}
	for i := range j.out {
		o := &j.out[i]
		switch {
		case o.right < 0:
			out[0].Cols[i] = in[0].Cols[o.left].Take(left).WithField(&o.field)
		case o.left < 0:
			out[0].Cols[i] = in[1].Cols[o.right].Take(right).WithField(&o.field)
		default:
			c := frame.NewColumn(o.field, len(left))
			for k, r := range left {
				if r >= 0 {
					appendCell(c, in[0].Cols[o.left], r)
				} else {
					appendCell(c, in[1].Cols[o.right], right[k])
				}
			}
			out[0].Cols[i] = c
		}
	}
	return nil
}

// match returns the rows of both tables that make the output's rows; -1 stands
// for no row.
func (j *join) match(l, r *frame.Frame) (left, right []int, err error) {
	heads := make(map[string]int, r.Rows()) // key -> first row of the right
	next := make([]int, r.Rows())           // the next row of the same key
	var key []byte
	for i := r.Rows() - 1; i >= 0; i-- {
		next[i] = -1
		var missing bool
		if key, missing = appendKey(key[:0], j.right, r, i); missing {
			continue
		}
		if first, ok := heads[string(key)]; ok {
			next[i] = first
		}
		heads[string(key)] = i
	}
	matched := make([]bool, r.Rows())
	for i := range l.Rows() {
		var missing bool
		key, missing = appendKey(key[:0], j.left, l, i)
		first, ok := heads[string(key)]
		switch {
		case missing || !ok:
			if j.how == leftOuterJoin || j.how == fullOuterJoin {
				left, right = append(left, i), append(right, -1)
			}
			continue
		case j.how == leftSemiJoin:
			left = append(left, i)
			continue
		}
		for k := first; k >= 0; k = next[k] {
			matched[k] = true
			left, right = append(left, i), append(right, k)
		}
		if len(left) > maxJoined {
			return nil, nil, module.Errorf(138, "the joined table would have more than %d rows: many rows of both tables have the same key", maxJoined)
		}
	}
	if j.how == fullOuterJoin {
		for k := range matched {
			if !matched[k] {
				left, right = append(left, -1), append(right, k)
			}
		}
	}
	return left, right, nil
}
