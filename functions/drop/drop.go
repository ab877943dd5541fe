// Package drop is the queue function that turns a file in container drop into
// a started job. Its messages are the BlobCreated events that Event Grid (or
// the local host) puts on the queue: a file reaches us as a reference, never
// as bytes.
package drop

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Queue has the function's name.
const Queue = "drop"

// services finds what a path names.
type services interface {
	Services(ctx context.Context, ws string, by registry.Actor) ([]registry.Service, error)
	Endpoint(ctx context.Context, ws, svc, name string, by registry.Actor) (*service.Endpoint, error)
}

// dropper is who looks a service up: whoever may write to container drop was
// let in by the storage account, and gets no more than a reader.
var dropper = registry.Actor{ID: "portico|drop", Name: "drop container", Role: auth.Reader}

// Function makes jobs of files.
type Function struct {
	*event.Worker[File]
	services services
	jobs     *batch.Batch
	log      *slog.Logger
}

// File is a file that was created.
type File struct {
	Key string `json:"key"` // in container drop; "" for an event about nothing of ours
}

// New returns the function.
func New(s services, jobs *batch.Batch, places *event.Places, queues event.Sender, log *slog.Logger) *Function {
	f := &Function{services: s, jobs: jobs, log: log}
	f.Worker = event.NewWorker(places, queues, log, event.Work[File]{
		Queue: Queue, Limit: 4, Deadline: time.Minute, Foreign: parse, Do: f.drop,
		Fail: func(ctx context.Context, file File, err error) error { return f.jobs.RefuseDrop(ctx, file.Key, err) },
	})
	return f
}

// parse reads an event in Event Grid's schema, alone or as the one element of
// an array. Validation messages and other containers are nothing of ours.
func parse(body []byte) (File, error) {
	var events []json.RawMessage
	if json.Unmarshal(body, &events) == nil && len(events) == 1 {
		body = events[0]
	}
	var e struct {
		EventType string `json:"eventType"`
		Subject   string `json:"subject"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.EventType == "" {
		return File{}, fault.New(fault.BadArgument, "", "not an event of Event Grid")
	}
	key, ok := strings.CutPrefix(e.Subject, "/blobServices/default/containers/"+storage.DropContainer+"/blobs/")
	if !ok || e.EventType != "Microsoft.Storage.BlobCreated" {
		return File{}, nil
	}
	if plain, err := url.PathUnescape(key); err == nil {
		key = plain
	}
	return File{Key: key}, nil
}

// drop submits and starts the job of a file. What can never become a job is
// answered where its result would have gone.
func (f *Function) drop(ctx context.Context, file File) error {
	ws, rest, _ := strings.Cut(file.Key, "/")
	name, path, _ := strings.Cut(rest, "/")
	if file.Key == "" || storage.CheckKey(file.Key) != nil {
		if path != "" && service.ValidID(ws) {
			return f.jobs.RefuseName(ctx, file.Key)
		}
		// Nobody looks for an answer to it.
		f.log.WarnContext(ctx, "drop event about no file", "bytes", len(file.Key))
		return nil
	}
	if path == "" || !service.ValidID(ws) {
		return fault.New(fault.BadArgument, "BlobNotFound", "a file is dropped as {workspace id}/{service name or id}/{file}; %q is not of that form", file.Key)
	}
	e, svc, err := f.resolve(ctx, ws, name)
	if err != nil {
		return err
	}
	return f.jobs.Drop(ctx, batch.Dropped{Key: file.Key, Submission: batch.Submission{
		Workspace: ws, Service: svc.ID, ServiceName: svc.Name, Endpoint: e.ID, Digest: e.Digest, RowErrors: e.Settings.RowErrors,
	}})
}

// resolve finds the production endpoint of a service by id or name.
func (f *Function) resolve(ctx context.Context, ws, name string) (*service.Endpoint, registry.Service, error) {
	var found registry.Service
	all, err := f.services.Services(ctx, ws, dropper)
	if err != nil {
		return nil, found, err
	}
	n := 0
	for _, s := range all {
		if s.ID == name {
			found, n = s, 1
			break
		}
		if strings.EqualFold(s.Name, name) || strings.EqualFold(spaceless(s.Name), name) {
			found = s
			n++
		}
	}
	switch {
	case n == 0:
		return nil, found, fault.New(fault.NotFound, "WebServiceNotFound", "the workspace has no service %q", name)
	case n > 1:
		return nil, found, fault.New(fault.BadArgument, "WebServiceIdInvalid", "%d services of the workspace are called %q: use the service's id as the folder", n, name)
	}
	e, err := f.services.Endpoint(ctx, ws, found.ID, service.Default, dropper)
	if err != nil {
		return nil, found, err
	}
	if e.Digest == "" {
		return nil, found, fault.New(fault.NotFound, "WebServiceNotFound", "service %q is published to staging, not approved yet", found.Name)
	}
	return e, found, nil
}

// spaceless is a service's name as a folder: a blob's path has no blanks.
func spaceless(name string) string { return strings.ReplaceAll(name, " ", "-") }
