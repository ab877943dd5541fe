package registry

import (
	"context"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// TestDeleteService_raced deletes a service while others, before each write in
// turn, publish its experiment anew or delete the service too: it is gone for
// both, and nothing but the new service is listed.
func TestDeleteService_raced(t *testing.T) {
	for _, publishes := range []bool{true, false} {
		for at := 1; ; at++ {
			st := faulty.New(*openStore(t))
			r := newRegistry(t, &st.Store, Options{})
			old := mustPublish(t, r, "one").Service.ID
			other := newRegistry(t, &st.Store, Options{})
			writes, struck := 0, false
			var second string
			st.Plan(func(ctx context.Context, c faulty.Call) faulty.Effect {
				if struck || !c.Write || c.Port != "Tables" {
					return faulty.Pass
				}
				if writes++; writes == at {
					struck = true
					var err error
					if publishes {
						var p *Published
						if p, err = other.Publish(ctx, testWS, author, publication(t, "two")); err == nil {
							second = p.Service.ID
						}
					} else {
						err = other.DeleteService(ctx, testWS, old, owner)
					}
					if err != nil {
						t.Errorf("before write %d: %v", at, err)
					}
				}
				return faulty.Pass
			})
			err := r.DeleteService(t.Context(), testWS, old, owner)
			st.Plan()
			if !struck {
				if at < 4 {
					t.Errorf("%d writes", at-1)
				}
				break
			}
			if err != nil && !fault.Is(err, fault.NotFound) { // the other's deletion
				t.Errorf("before write %d: %v", at, err)
			}
			if second == old {
				second = "" // published over before the deletion began
			}
			listed := ""
			for e, err := range st.Tables.Query(t.Context(), table, servicesOf(testWS), storage.Prefix("service.")) {
				if err != nil {
					t.Fatal(err)
				}
				listed += strings.TrimPrefix(e.Row, "service.")
			}
			if listed != second {
				t.Errorf("before write %d: listed is %q, want %q", at, listed, second)
			}
		}
	}
}
