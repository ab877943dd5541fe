package scoring_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/scoring"
)

// TestReleasedFormats loads a deployment of every manifest format that was
// ever released and scores its recorded calls again. What is in testdata was
// written by the release that made the format, and is never written anew: a
// test that fails here means that live services would answer otherwise.
func TestReleasedFormats(t *testing.T) {
	dirs, err := filepath.Glob("testdata/format*/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no deployments: %v", err)
	}
	for _, dir := range dirs {
		t.Run(dir, func(t *testing.T) {
			manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
			if err != nil {
				t.Fatal(err)
			}
			d, err := scoring.Load(t.Context(), artifact.Digest(manifest), manifest, func(_ context.Context, digest string) ([]byte, error) {
				return os.ReadFile(filepath.Join(dir, digest))
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Manifest.Samples) == 0 {
				t.Error("no recorded calls")
			}
			if err := d.Doctor(t.Context()); err != nil {
				t.Error(err)
			}
			if d.Size() <= int64(len(manifest)) && len(d.Manifest.Assets) > 0 {
				t.Errorf("size %d counts no assets", d.Size())
			}
		})
	}
}
