package filter_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/filter"
	"github.com/portico-ml/portico/shared/module/moduletest"
)

// make.py has made the cases.
func TestGoldens(t *testing.T) {
	moduletest.Run(t, module.NewPalette(filter.Modules()...), "testdata/golden")
}
