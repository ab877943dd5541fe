package catalog

import (
	"context"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/service"
)

// NewModel is a trained model or transformation to save.
type NewModel struct {
	Kind service.PortKind // TrainedModel or Transformation
	Name string
	// Artifact is the file that decides scores: .ilearner for a model.
	Artifact []byte
	// Original and Format are the imported file; empty for what a run made.
	Original []byte
	Format   string
	// Record is JSON: metrics, provenance, the check.
	Record     []byte
	Unverified bool
}

// SaveModel saves a version of a trained model or transformation.
func (c *Catalog) SaveModel(ctx context.Context, ws string, m NewModel, by auth.Identity) (*Version, error) {
	k := kinds[m.Kind]
	if err := CheckName(k.what, m.Name); err != nil {
		return nil, err
	}
	v := Version{Kind: m.Kind, Name: m.Name, Format: m.Format, Unverified: m.Unverified, Bytes: int64(len(m.Artifact))}
	if len(m.Original) > 0 {
		v.Bytes = int64(len(m.Original))
	}
	for _, a := range []struct {
		body   []byte
		digest *string
	}{{m.Artifact, &v.Digest}, {m.Original, &v.Original}, {m.Record, &v.Record}} {
		if len(a.body) == 0 {
			continue
		}
		var err error
		if *a.digest, err = c.artifacts.Put(ctx, ws, a.body); err != nil {
			return nil, err
		}
	}
	return c.save(ctx, ws, v, false, by)
}
