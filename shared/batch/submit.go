package batch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Submission is a request for a job, with what it was resolved to.
type Submission struct {
	Workspace, Service, Endpoint string // ids
	ServiceName                  string
	// Digest is what the endpoint serves now: the job keeps to it.
	Digest string
	// RowErrors is the endpoint's default policy; "" = fail.
	RowErrors string
	Body      []byte
	// IdempotencyKey, where set, makes the same request give the same job.
	IdempotencyKey string
}

// Submit registers a job and returns its id. Nothing runs before Start.
func (b *Batch) Submit(ctx context.Context, s Submission) (id string, err error) {
	s.Body = withoutNaN(s.Body)
	r, err := decodeRequest(s.Body)
	if err != nil {
		return "", err
	}
	j := &job{
		ID: service.NewID(), Workspace: s.Workspace, Service: s.Service, ServiceName: s.ServiceName, Endpoint: s.Endpoint,
		Digest: s.Digest, State: NotStarted, Created: now(), Options: r.Options,
	}
	if s.IdempotencyKey != "" {
		if j.Request, err = asked(s.Body); err != nil {
			return "", err
		}
		j.ID = derivedID("key", s.Workspace, s.Endpoint, s.IdempotencyKey)
		if known, err := b.repeated(ctx, j); known || err != nil {
			return j.ID, err
		}
	}
	if err := j.Options.settle(s.RowErrors); err != nil {
		return "", err
	}
	if err := b.describe(ctx, j, r); err != nil {
		return "", err
	}
	return j.ID, b.register(ctx, j)
}

// asked is a digest of what a request asks for. A signature is how one gets in
// and no part of it: the links to the same blob differ from one to the next.
func asked(body []byte) (string, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return "", fault.New(fault.BadArgument, "RequestBodyInvalid", "The request body is not a batch request: %s.", syntax(err))
	}
	unsign(v)
	body, err := json.Marshal(v) // members in order
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16]), nil
}

// unsign drops the signatures of the references below v.
func unsign(v any) {
	switch v := v.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(name string, _ any) bool { return strings.EqualFold(name, "SasBlobToken") })
		for _, member := range v {
			unsign(member)
		}
	case []any:
		for _, element := range v {
			unsign(element)
		}
	}
}

// repeated reports whether j's key has made a job before.
func (b *Batch) repeated(ctx context.Context, j *job) (bool, error) {
	old, err := b.load(ctx, j.ID)
	gone, err := absent(err)
	if gone || err != nil {
		return false, err
	}
	if old.Request != j.Request {
		return true, fault.New(fault.Conflict, "Conflict", "The Idempotency-Key was used with another request.").At("Idempotency-Key")
	}
	return true, nil
}

// register writes a new job: first its rows in the active index, so that sweep
// finds whatever comes after, and in the endpoint's list.
func (b *Batch) register(ctx context.Context, j *job) error {
	if err := b.activate(ctx, j.Workspace, j.ID); err != nil {
		return err
	}
	if err := b.enlist(ctx, j); err != nil {
		return err
	}
	err := b.insert(ctx, j)
	if fault.HasCode(err, storage.CodeExists) {
		_, err = b.repeated(ctx, j)
	}
	return err
}

// describe fills in where the job's inputs and outputs are, checks all of the
// request against the deployment, and copies what is no blob.
func (b *Batch) describe(ctx context.Context, j *job, r *request) error {
	d, release, err := b.Deployment(ctx, j.Workspace, j.Digest)
	if err != nil {
		return err
	}
	defer release()
	m := d.Manifest()
	var sec secrets
	if err := b.describeOutputs(ctx, j, r, m.Outputs, &sec); err != nil {
		return err
	}
	sec.Parameters = r.parameters()
	if err := checkParameters(d, sec.Parameters); err != nil {
		return err
	}
	raw, err := r.inputs(m.Inputs)
	if err != nil {
		return err
	}
	sec.Inputs, sec.Sources = make(map[string]blob.Reference), make(map[string]connect.Place)
	for i, p := range m.Inputs {
		s := source{Name: p.Name}
		if inline(raw[i]) {
			err = b.snapshot(ctx, j, &s, p, d.Input(i), raw[i])
		} else {
			err = b.describeInput(ctx, j, &s, raw[i], &sec)
		}
		if err != nil {
			return at(err, p.Name)
		}
		j.Inputs = append(j.Inputs, s)
	}
	return b.seal(j, sec)
}

func (b *Batch) describeOutputs(ctx context.Context, j *job, r *request, ports []service.Port, sec *secrets) error {
	refs, err := r.outputs(ports)
	if err != nil {
		return err
	}
	sec.Outputs, sec.Sinks = make(map[string]blob.Reference), make(map[string]connect.Place)
	for i, p := range ports {
		o := sink{Name: p.Name, Format: artifactFormat(p.Kind)}
		def(&o.Format, tables[0])
		to := refs[i]
		switch {
		case to == nil:
		case zero(to):
			o.Format, err = outputFormat(p, to.FileFormat, &blob.Reference{})
		case oneBlob(to):
			err = b.describeOutput(ctx, &o, p, *to, sec)
		default:
			err = b.describeSink(ctx, j, &o, p, *to, sec)
		}
		if err == nil && artifactFormat(p.Kind) == "" {
			err = holds(o.Format, p.Schema)
		}
		if err != nil {
			return at(err, p.Name)
		}
		j.Outputs = append(j.Outputs, o)
	}
	return nil
}

// describeOutput checks the blob of an output, and that it can be written.
func (b *Batch) describeOutput(ctx context.Context, o *sink, p service.Port, to connect.Place, sec *secrets) error {
	ref := blob.ReferenceOf(to)
	var err error
	if o.Format, err = outputFormat(p, to.FileFormat, &ref); err != nil {
		return err
	}
	target, err := b.Blobs.Open(ctx, ref, true)
	if err == nil {
		err = target.Writable(ctx)
	}
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
		err = fault.New(fault.BadArgument, "InvalidBlob", "%s cannot be written: %s", p.Name, fault.Of(err).Msg).Because(err)
	}
	if err != nil {
		return err
	}
	o.NoHeader, o.Keep = to.NoHeader, to.KeepExisting
	o.Place = &place{Base: target.Base(), Path: target.Path()}
	sec.Outputs[p.Name] = ref
	return nil
}

func (b *Batch) describeInput(ctx context.Context, j *job, s *source, raw json.RawMessage, sec *secrets) error {
	var p connect.Place
	if err := json.Unmarshal(raw, &p); err != nil {
		return fault.New(fault.BadArgument, "InvalidBlob", "%s is not a blob reference: %s", s.Name, syntax(err))
	}
	if zero(&p) {
		return fault.New(fault.BadArgument, "MissingInputBlobInformation", "Input %s has no blob information.", s.Name)
	}
	if !oneBlob(&p) {
		return b.describeSource(j, s, p, sec)
	}
	ref := blob.ReferenceOf(p)
	src, err := b.Blobs.Open(ctx, ref, false)
	if fault.Is(err, fault.Forbidden) {
		return fault.New(fault.BadArgument, "BlobNotFound", "%s cannot be read: %s", s.Name, fault.Of(err).Msg).Because(err)
	}
	if err != nil {
		return err
	}
	kind, err := tableFormat(s.Name, p.FileFormat, &ref)
	if err != nil {
		return err
	}
	_, err = src.Head(ctx)
	if fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Throttled) {
		return err // busy is not absent: the caller asks again
	}
	if err != nil {
		return fault.New(fault.BadArgument, "BlobNotFound", "%s cannot be read: %s", s.Name, fault.Of(err).Msg).Because(err)
	}
	s.NoHeader = p.NoHeader
	s.Place = &place{Base: src.Base(), Path: src.Path()}
	s.unpack(j, kind)
	sec.Inputs[s.Name] = ref
	return nil
}

func checkParameters(d Deployment, given map[string]string) error {
	s := d.Session()
	defer s.Release()
	return s.SetParameters(given)
}
