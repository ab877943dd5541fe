package evaluate_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/evaluate"
	"github.com/portico-ml/portico/shared/module/moduletest"
)

func TestGolden(t *testing.T) {
	moduletest.Run(t, module.NewPalette(evaluate.Modules()...), "testdata/golden")
}
