package evaluate_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/module/moduletest"
	"github.com/portico-ml/portico/shared/module/palette"
)

func TestGolden(t *testing.T) {
	moduletest.Run(t, palette.New(), "testdata/golden")
}
