package artifact

import "github.com/portico-ml/portico/shared/storage"

// PartBytes is the size of the parts of the stores that NewSmall makes, whose
// large artifacts are small enough for tests.
const PartBytes = 100_000

// NewSmall is New with small parts.
func NewSmall(b storage.Blobs) *Store { return &Store{b, PartBytes} }
