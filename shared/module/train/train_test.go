package train_test

import (
	"slices"
	"testing"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/initialize"
	"github.com/portico-ml/portico/shared/module/moduletest"
	"github.com/portico-ml/portico/shared/module/score"
	"github.com/portico-ml/portico/shared/module/train"
)

func palette() *module.Palette {
	return module.NewPalette(slices.Concat(initialize.Modules(), score.Modules(), train.Modules())...)
}

func TestGolden(t *testing.T) { moduletest.Run(t, palette(), "testdata/golden") }
