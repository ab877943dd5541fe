package score_test

import (
	"slices"
	"testing"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/initialize"
	"github.com/portico-ml/portico/shared/module/moduletest"
	"github.com/portico-ml/portico/shared/module/score"
	"github.com/portico-ml/portico/shared/module/train"
)

func TestGolden(t *testing.T) {
	p := module.NewPalette(slices.Concat(initialize.Modules(), score.Modules(), train.Modules())...)
	moduletest.Run(t, p, "testdata/golden")
}
