package registry

import (
	"context"
	"fmt"
	"sync"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
)

// manifests keeps parsed manifests for the pages that describe an endpoint:
// they need no key, so that anybody could have storage read with each call. A
// manifest never changes; when there are many, all are forgotten.
type manifests struct {
	mu    sync.Mutex
	m     map[deploymentKey]*service.Manifest
	bytes int // of those kept, as stored
}

const maxManifestBytes = 16 << 20

func (c *manifests) get(k deploymentKey) *service.Manifest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m[k]
}

func (c *manifests) put(k deploymentKey, m *service.Manifest, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || c.bytes+size > maxManifestBytes {
		c.m, c.bytes = make(map[deploymentKey]*service.Manifest), 0
	}
	if c.m[k] == nil {
		c.bytes += size
	}
	c.m[k] = m
}

// Manifest returns the parsed manifest of a deployment of ws. It is shared:
// nobody may change it.
func (r *Registry) Manifest(ctx context.Context, ws, digest string) (*service.Manifest, error) {
	k := deploymentKey{ws, digest}
	if m := r.manifests.get(k); m != nil {
		return m, nil
	}
	m, size, err := r.readManifest(ctx, ws, digest)
	if err != nil {
		return nil, err
	}
	r.manifests.put(k, m, size)
	return m, nil
}

// readManifest reads a manifest that is the caller's own, and its size.
func (r *Registry) readManifest(ctx context.Context, ws, digest string) (m *service.Manifest, size int, err error) {
	body, err := r.artifacts.Get(ctx, ws, digest)
	if err != nil {
		return nil, 0, fault.Wrap(err, fault.Unavailable, "read manifest "+digest)
	}
	if m, err = parseManifest(body); err != nil {
		return nil, 0, fmt.Errorf("manifest %s: %w", digest, err)
	}
	return m, len(body), nil
}
