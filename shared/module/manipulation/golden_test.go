package manipulation_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/manipulation"
	"github.com/portico-ml/portico/shared/module/moduletest"
)

func TestGoldens(t *testing.T) {
	moduletest.Run(t, module.NewPalette(manipulation.Modules()...), "testdata/golden")
}
