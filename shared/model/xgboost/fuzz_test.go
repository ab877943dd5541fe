package xgboost

import (
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/model/trees"
)

// load is the property of both fuzz targets: a file is refused as a package
// fault, or becomes a model that opens and scores.
func load(t *testing.T, file []byte) {
	m, err := Load(file)
	if err != nil {
		if fault.KindOf(err) != fault.Package {
			t.Fatalf("kind %s: %v", fault.KindOf(err), err)
		}
		return
	}
	e, err := trees.Open(m.Body)
	if err != nil {
		t.Fatalf("loads, but does not open: %v", err)
	}
	if len(m.Features) != e.Features() {
		t.Fatalf("%d features found, the engine has %d", len(m.Features), e.Features())
	}
	if e.Features() <= 1<<12 && e.Outputs() <= 1<<8 {
		margins(e, [][]float64{make([]float64, e.Features())}, 1)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(document))
	for _, name := range []string{"1.7.6/oneleaf.json", "2.1.4/oneleaf.json", "3.0.5/base.json", "3.2.0/base.json", "3.2.0/dart.json"} {
		f.Add(read(f, golden+"/"+name))
	}
	f.Fuzz(load)
}

func FuzzUBJ(f *testing.F) {
	for _, name := range []string{"1.7.6/oneleaf.ubj", "2.1.4/oneleaf.ubj", "3.0.5/base.ubj", "3.2.0/base.ubj", "3.2.0/dart.ubj"} {
		f.Add(read(f, golden+"/"+name))
	}
	f.Fuzz(load)
}
