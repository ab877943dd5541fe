package sample_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/moduletest"
	"github.com/portico-ml/portico/shared/module/sample"
)

func TestGoldens(t *testing.T) {
	moduletest.Run(t, module.NewPalette(sample.Modules()...), "testdata/golden")
}
