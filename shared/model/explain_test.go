package model

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
)

// TestTableOfContributions holds the table in the README of learn to what engines
// can: those that it gives a reason for refuse with it, the others open.
func TestTableOfContributions(t *testing.T) {
	readme, err := os.ReadFile("../learn/README.md")
	if err != nil {
		t.Fatal(err)
	}
	engines := []string{
		EngineTrees, EngineLinear, EngineONNX, EngineDAG, EngineQuantile, EngineBayes, EngineSeveral, EngineCentroids, EngineNeural,
		EngineKernel, EngineSubspace,
	}
	var listed []string
	for line := range strings.Lines(string(readme)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !strings.HasPrefix(line, "| `") {
			continue
		}
		name, split := strings.Trim(cells[1], " `"), strings.TrimSpace(cells[4])
		listed = append(listed, name)
		why, none := strings.CutPrefix(split, "none: ")
		_, err := openExplainer(name, nil)
		switch {
		case none && (!fault.Is(err, fault.BadUserArgument) || !strings.HasSuffix(err.Error(), "the model has no contributions: "+why)):
			t.Errorf("%s says %v, the table %q", name, err, why)
		case !none && (!fault.Is(err, fault.Package) || strings.Contains(err.Error(), "no engine")): // nothing, opened
			t.Errorf("%s says %v, the table %q", name, err, split)
		}
	}
	for _, name := range engines {
		if !slices.Contains(listed, name) {
			t.Errorf("the table lacks engine %q", name)
		}
	}
}
