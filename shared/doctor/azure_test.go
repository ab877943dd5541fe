package doctor

import (
	"testing"

	"github.com/portico-ml/portico/shared/storage/azure"
	"github.com/portico-ml/portico/shared/storage/azuritetest"
)

// Azure Storage has a clock of its own.
func TestAzure(t *testing.T) {
	a := azuritetest.Start(t)
	s, err := azure.Open(azure.Settings{ConnectionString: a.ConnectionString()})
	if err != nil {
		t.Fatal(err)
	}
	m := &Machine{Store: &s.Store, Queues: []string{"besjob"}}
	checks := m.Check(t.Context())
	if got := states(checks); got["storage clock"] != OK || got["queue besjob"] != OK || !Healthy(checks) {
		t.Errorf("%+v", checks)
	}
	if left := leftovers(t, s.Store); left != nil {
		t.Errorf("left behind: %v", left)
	}
}
