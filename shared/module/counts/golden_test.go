package counts_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/counts"
	"github.com/portico-ml/portico/shared/module/moduletest"
)

// make.py has made the cases.
func TestGoldens(t *testing.T) {
	moduletest.Run(t, module.NewPalette(counts.Modules()...), "testdata/golden")
}
