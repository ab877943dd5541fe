package azure_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/azure"
	"github.com/portico-ml/portico/shared/storage/azuritetest"
	"github.com/portico-ml/portico/shared/storage/storagetest"
)

func open(t *testing.T, a azuritetest.Azurite) storage.Store {
	t.Helper()
	s, err := azure.Open(azure.Settings{ConnectionString: a.ConnectionString()})
	if err != nil {
		t.Fatal(err)
	}
	return s.Store
}

// The suite runs behind the proxy that refuses what only Azure refuses; what
// it lets through, Azurite answers.
func TestConformance(t *testing.T) {
	a := azuritetest.Strict(t, azuritetest.Shared(t))
	storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, a) })
}
