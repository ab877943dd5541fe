package scale_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/moduletest"
	"github.com/portico-ml/portico/shared/module/scale"
)

func TestGoldens(t *testing.T) {
	moduletest.Run(t, module.NewPalette(scale.Modules()...), "testdata/golden")
}
