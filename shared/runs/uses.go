package runs

import (
	"context"
	"fmt"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/graph"
	"github.com/portico-ml/portico/shared/service"
)

// Uses names who uses a dataset, trained model or transformation of the
// workspace: experiments that refer to it, and runs that are under way with it.
// gone says which versions are meant; it is asked about 0 where an experiment
// takes the newest.
func (r *Runs) Uses(ctx context.Context, ws string, kind service.PortKind, name string, gone func(number int) bool) ([]string, error) {
	var uses []string
	all, err := r.catalog.Experiments(ctx, ws)
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		with, err := r.catalog.Experiment(ctx, ws, x.ID)
		if fault.Is(err, fault.NotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		d, err := graph.Parse(with.Doc)
		if err != nil {
			continue // a draft in no state to name anything
		}
		for _, id := range sortedKeys(d.Assets) {
			a := d.Assets[id]
			number, err := a.Number()
			if err == nil && a.Kind == kind && a.Name == name && gone(number) {
				uses = append(uses, fmt.Sprintf("experiment %q", x.Name))
				break
			}
		}
	}
	for e, err := range r.actives(ctx) {
		if err != nil {
			return nil, err
		}
		in, id, _ := strings.Cut(e.Row, ".")
		if in != ws {
			continue
		}
		run, err := r.row(ctx, ws, id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, asset := range sortedKeys(run.Assets) {
			a := run.Assets[asset]
			if !run.State.Ended() && a.Kind == kind && a.Name == name && gone(a.Number) {
				uses = append(uses, "run "+run.ID)
				break
			}
		}
	}
	return uses, nil
}
