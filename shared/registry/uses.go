package registry

import (
	"context"
	"fmt"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// Uses names the endpoints of a workspace that serve one of the artifacts that
// is meant, and the promotions that would have one do so. What is only in a
// history keeps its artifact as long as it can be gone back to.
func (r *Registry) Uses(ctx context.Context, ws string, meant func(digest string) bool) ([]string, error) {
	var uses []string
	for row, err := range r.tables.Query(ctx, table, servicesOf(ws), storage.Prefix("service.")) {
		if err != nil {
			return nil, err
		}
		svc := strings.TrimPrefix(row.Row, "service.")
		s, err := r.liveService(ctx, ws, svc)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		use := func(digest, as string) error {
			if digest == "" {
				return nil
			}
			m, err := r.Manifest(ctx, ws, digest)
			if err != nil {
				return err
			}
			for _, a := range m.Assets {
				if meant(a.Digest) {
					uses = append(uses, fmt.Sprintf("%s of service %q", as, s.Name))
					return nil
				}
			}
			return nil
		}
		all, err := r.endpoints(ctx, ws, svc)
		if err != nil {
			return nil, err
		}
		for _, e := range all {
			if err := use(e.Digest, "endpoint "+e.Name); err != nil {
				return nil, err
			}
		}
		if s.Pending != 0 {
			p, err := r.promotion(ctx, ws, svc, s.Pending)
			if err != nil {
				return nil, err
			}
			if err := use(p.Digest, fmt.Sprintf("promotion %d", p.Number)); err != nil {
				return nil, err
			}
		}
	}
	return uses, nil
}
