package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
)

// secrets are the parts of a request that are kept sealed, in the job's row
// and nowhere else, and erased by the write that ends the job. All global
// parameters count: any of them may be a password.
type secrets struct {
	Inputs  map[string]blob.Reference `json:"inputs,omitempty"`
	Outputs map[string]blob.Reference `json:"outputs,omitempty"`
	// Sources and Sinks are inputs and outputs that are no single blob, and
	// Exports the places that modules write to, by node.
	Sources    map[string]connect.Place `json:"sources,omitempty"`
	Sinks      map[string]connect.Place `json:"sinks,omitempty"`
	Exports    map[string]connect.Place `json:"exports,omitempty"`
	Parameters map[string]string        `json:"parameters,omitempty"`
}

// links take the place of the secrets of a Finished job: the references of
// the outputs the caller placed, each with the link signed once at the end.
type links map[string]blob.Reference

func (b *Batch) seal(j *job, v any) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode secrets: %w", err)
	}
	j.sealed = b.Sealer.Seal(plain, sealedFor(j))
	return nil
}

func (b *Batch) unseal(j *job, v any) error {
	if len(j.sealed) == 0 {
		return nil
	}
	plain, err := b.Sealer.Open(j.sealed, sealedFor(j))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("decode secrets of job %s: not what was sealed", j.ID) // err would quote them
	}
	return nil
}

func sealedFor(j *job) []byte { return []byte("portico/job\x00" + j.Workspace + "\x00" + j.ID) }

// sources opens the inputs of a job, in order.
func (b *Batch) sources(ctx context.Context, j *job, sec *secrets) ([]*blob.Blob, error) {
	in := make([]*blob.Blob, len(j.Inputs))
	for i, s := range j.Inputs {
		var err error
		if s.Key != "" {
			in[i] = blob.Own(b.store.Blobs, s.Key)
		} else if in[i], err = b.origin(ctx, &s, sec); err != nil {
			return nil, at(err, s.Name)
		}
	}
	return in, nil
}

// origin opens the blob that an input was given as.
func (b *Batch) origin(ctx context.Context, s *source, sec *secrets) (*blob.Blob, error) {
	if s.Drop != "" {
		return blob.Own(b.store.Drop, s.Drop), nil
	}
	return b.Blobs.Open(ctx, sec.Inputs[s.Name], false)
}

// at names the input or output at fault, before what of it is.
func at(err error, name string) error {
	if err == nil {
		return nil
	}
	e := *fault.Of(err)
	switch {
	case e.Target == "":
		e.Target = name
	case e.Target != name && !strings.HasPrefix(e.Target, name+"."):
		e.Target = name + "." + e.Target
	}
	return &e
}
