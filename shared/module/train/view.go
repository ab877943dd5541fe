package train

import (
	"encoding/json"

	"github.com/portico-ml/portico/shared/evaluate"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// view is what a trained model's result says of its training.
type view struct {
	Training *training `json:"training,omitempty"`
	Tuning   *tuning   `json:"tuning,omitempty"`
}

// training says what was learned from.
type training struct {
	Rows    int       `json:"rows"`    // learned from
	LeftOut int       `json:"leftOut"` // without label, weight or, where all are needed, a feature
	Ignored []ignored `json:"ignored"` // columns that are no features: the first maxIgnored
}

type ignored struct {
	Column string `json:"column"`
	Reason string `json:"reason"`
}

const maxIgnored = 1000

// tuning says which candidate won.
type tuning struct {
	Runs     int              `json:"runs"`
	Metric   string           `json:"metric"`
	Settings []setting        `json:"settings"`
	Metrics  evaluate.Metrics `json:"metrics"`
}

type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func settingsOf(swept []module.Setting) []setting {
	out := make([]setting, len(swept))
	for i, s := range swept {
		out[i] = setting(s)
	}
	return out
}

// trained is a trained model as a result.
func trained(artifact []byte, v view) (module.Value, error) {
	body, err := json.Marshal(v)
	return module.Value{Kind: service.TrainedModel, Artifact: artifact, View: body}, err
}

// learned is the view of a training on a table of that many rows.
func learned(b *learn.Binding, rows int) view {
	t := &training{Rows: rows, Ignored: []ignored{}}
	if b.Kept != nil {
		t.Rows, t.LeftOut = len(b.Kept), rows-len(b.Kept)
	}
	for _, i := range b.Ignored[:min(len(b.Ignored), maxIgnored)] {
		t.Ignored = append(t.Ignored, ignored(i))
	}
	return view{Training: t}
}
