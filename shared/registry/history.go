package registry

import (
	"context"
	"slices"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// History is a page of an endpoint's moves.
type History struct {
	Endpoint string `json:"endpoint"`
	Position int64  `json:"position"` // the move it stands at
	Moves    []Move `json:"moves"`
	Next     int64  `json:"next,omitempty"` // given as before, reads on; 0 at the end
}

// History returns up to limit moves of an endpoint, newest first, older than
// the one with seq before (0 = from the newest).
func (r *Registry) History(ctx context.Context, ws, svc, name string, by Actor, before int64, limit int) (*History, error) {
	if err := by.May(ActRead, onService); err != nil {
		return nil, err
	}
	if _, err := r.liveService(ctx, ws, svc); err != nil {
		return nil, err
	}
	e, err := r.endpointNamed(ctx, ws, svc, name)
	if err != nil {
		return nil, err
	}
	out := &History{Endpoint: e.Name, Position: e.Position, Moves: []Move{}}
	if limit <= 0 {
		limit = DefaultPage
	}
	limit = min(limit, MaxPage)
	rg := storage.Prefix("history." + e.ID + ".")
	if before < 0 || before > lastSeq {
		return nil, fault.New(fault.BadArgument, "InvalidQueryParameter", "%d is not the seq of an entry", before).At("before")
	} else if before > 0 {
		rg.From = historyRow(e.ID, before-1)
	}
	for row, err := range r.tables.Query(ctx, table, partition(ws, svc), rg) {
		if err != nil {
			return nil, err
		}
		if len(out.Moves) == limit {
			out.Next = out.Moves[limit-1].Seq
			break
		}
		var m Move
		if err := unmarshalRow(row.Props.Bytes("json"), &m, row.Row); err != nil {
			return nil, err
		}
		out.Moves = append(out.Moves, m)
	}
	return out, nil
}

// Promotions returns the promotions of a service, newest first.
func (r *Registry) Promotions(ctx context.Context, ws, svc string, by Actor) ([]*Promotion, error) {
	if err := by.May(ActRead, onService); err != nil {
		return nil, err
	}
	if _, err := r.liveService(ctx, ws, svc); err != nil {
		return nil, err
	}
	all := []*Promotion{}
	for row, err := range r.tables.Query(ctx, table, partition(ws, svc), storage.Prefix("promotion.")) {
		if err != nil {
			return nil, err
		}
		p, err := promotionOf(row)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	slices.Reverse(all)
	return all, nil
}

// Promotion returns one promotion. While it is pending, difference and
// evidence are those of now.
func (r *Registry) Promotion(ctx context.Context, ws, svc string, n int64, by Actor) (*Promotion, error) {
	if err := by.May(ActRead, onService); err != nil {
		return nil, err
	}
	if _, err := r.liveService(ctx, ws, svc); err != nil {
		return nil, err
	}
	p, err := r.promotion(ctx, ws, svc, n)
	if err != nil || p.State != service.Requested {
		return p, err
	}
	production, err := r.endpointNamed(ctx, ws, svc, service.Default)
	if err != nil {
		return nil, err
	}
	staging, err := r.endpointNamed(ctx, ws, svc, service.Staging)
	if err != nil {
		return nil, err
	}
	if p.Against != production.Digest {
		p.Against = production.Digest
		if p.Difference, err = r.difference(ctx, ws, p.Against, p.Digest); err != nil {
			return nil, err
		}
	}
	p.Evidence, err = r.evidenceOf(ctx, staging, p.Digest)
	return p, err
}

// DeploymentRecord returns what is known of a deployment of the service besides
// its manifest.
func (r *Registry) DeploymentRecord(ctx context.Context, ws, svc, digest string, by Actor) (*Deployment, error) {
	if err := by.May(ActRead, onService); err != nil {
		return nil, err
	}
	if _, err := r.liveService(ctx, ws, svc); err != nil {
		return nil, err
	}
	absent := fault.New(fault.NotFound, "ModelPackageNotFound", "the web service has no deployment %q", cut(digest))
	if len(digest) != 64 {
		return nil, absent
	}
	d, err := r.deployment(ctx, ws, svc, digest)
	if fault.Is(err, fault.NotFound) {
		return nil, absent
	} else if err != nil {
		return nil, err
	}
	return &d, nil
}
