// Package palette names every module there is. There is no registration: a
// module exists because it is in this list.
package palette

import (
	"slices"
	"sync"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/convert"
	"github.com/portico-ml/portico/shared/module/counts"
	"github.com/portico-ml/portico/shared/module/dataio"
	"github.com/portico-ml/portico/shared/module/evaluate"
	"github.com/portico-ml/portico/shared/module/feature"
	"github.com/portico-ml/portico/shared/module/filter"
	"github.com/portico-ml/portico/shared/module/initialize"
	"github.com/portico-ml/portico/shared/module/manipulation"
	"github.com/portico-ml/portico/shared/module/sample"
	"github.com/portico-ml/portico/shared/module/scale"
	"github.com/portico-ml/portico/shared/module/score"
	"github.com/portico-ml/portico/shared/module/statistical"
	"github.com/portico-ml/portico/shared/module/text"
	"github.com/portico-ml/portico/shared/module/timeseries"
	"github.com/portico-ml/portico/shared/module/train"
	"github.com/portico-ml/portico/shared/module/webservice"
)

// Shared returns the one palette of the process, made when it is first asked
// for: that takes half a millisecond, and a process that starts has ten.
var Shared = sync.OnceValue(New)

// New returns the palette, in the order in which an editor shows it.
func New() *module.Palette {
	return module.NewPalette(slices.Concat(
		convert.Modules(),
		counts.Modules(),
		dataio.Modules(),
		evaluate.Modules(),
		feature.Modules(),
		filter.Modules(),
		initialize.Modules(),
		manipulation.Modules(),
		sample.Modules(),
		scale.Modules(),
		score.Modules(),
		statistical.Modules(),
		text.Modules(),
		timeseries.Modules(),
		train.Modules(),
		webservice.Modules(),
	)...)
}
