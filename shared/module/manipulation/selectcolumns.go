package manipulation

import (
	"context"
	"encoding/json"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// SelectColumnsTransform makes a projection to the columns of a table.
func SelectColumnsTransform() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Select Columns Transform", Group: group, CodeVersion: 1, Nature: module.Fitted,
			Inputs: []module.Port{{ID: "Dataset with desired columns", Kind: service.Dataset, Doc: "A table with the columns to keep, in their order."}},
			Outputs: []module.Port{{
				ID: "Columns selection transformation", Kind: service.Transformation, Doc: "The projection, for Apply Transformation.",
			}},
			Doc: "Remembers which columns a table has, as feature selection left them, and selects the same of other tables through Apply Transformation.",
		},
		Fit: func(_ context.Context, c *module.Call) ([]byte, error) {
			return json.Marshal(columnSelection{c.Inputs[0].Frame.Schema().Names()})
		},
		Apply: func(state []byte, in frame.Schema) (*module.Bound, error) {
			var st columnSelection
			if err := json.Unmarshal(state, &st); err != nil {
				return nil, module.Errorf(82, "the columns selection transformation cannot be read: %v", err)
			}
			var m module.RowMap
			for _, name := range st.Columns {
				i := in.Index(name)
				if i < 0 {
					return nil, module.NoColumn(in, name)
				}
				m.Outs = append(m.Outs, module.Pass(in, i))
			}
			return m.Bind(in, 0, 1)
		},
	}
}

// columnSelection is the learned state.
type columnSelection struct {
	Columns []string `json:"columns"`
}
