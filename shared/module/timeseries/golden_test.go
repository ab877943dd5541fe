package timeseries_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/moduletest"
	"github.com/portico-ml/portico/shared/module/timeseries"
)

// make.py has made the cases.
func TestGoldens(t *testing.T) {
	moduletest.Run(t, module.NewPalette(timeseries.Modules()...), "testdata/golden")
}
