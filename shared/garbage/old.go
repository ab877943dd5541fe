package garbage

import (
	"context"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// Old returns the Collector of the blobs {workspace}/{folder}/{id}/… that were
// written longer than age ago, by ids that begin with the part.
func Old(blobs storage.Blobs, folder string, age time.Duration) Collector {
	return func(ctx context.Context, ws, part string, dry bool, found func(Item)) error {
		for info, err := range blobs.List(ctx, ws+"/"+folder+"/"+part) {
			if err != nil {
				return err
			}
			if time.Since(info.Modified) < age {
				continue
			}
			if !dry {
				err := blobs.Delete(ctx, info.Key, storage.Condition{IfMatch: info.ETag})
				if fault.Is(err, fault.Conflict) {
					continue // gone, or written just now
				}
				if err != nil {
					return err
				}
			}
			found(Item{Name: info.Key, Bytes: info.Size, Since: info.Modified})
		}
		return nil
	}
}
