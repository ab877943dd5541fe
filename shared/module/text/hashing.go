package text

import (
	"math"
	"strconv"

	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/murmur"
	"github.com/portico-ml/portico/shared/service"
)

// FeatureHashing counts the n-grams of texts by their hash.
func FeatureHashing() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Feature Hashing", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs:  []module.Port{datasetIn},
			Outputs: []module.Port{{ID: "Transformed dataset", Kind: service.Dataset, Doc: "The table with the features."}},
			Params: []module.Param{
				{Name: "Target columns", Type: module.ColumnPicker, Required: true, Schema: true, Doc: "The columns of text to hash; each gets features of its own."},
				{Name: "Hashing bitsize", Type: module.Int, Default: "10", Range: &module.Range{Min: 1, Max: 14}, Schema: true, Doc: "The bits of the hash: each column gives 2 to the power of so many features."},
				{Name: "N-grams", Type: module.Int, Default: "2", Range: &module.Range{Min: 1, Max: 10}, Doc: "The longest n-gram that is counted; shorter ones are, too."},
			},
			Doc: "Turns text into numbers without a vocabulary: every n-gram adds 1 to the feature that its hash (MurmurHash3) names. The features are called column_HashingFeature_0, _1 and so on. A missing text has none.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			in := b.Inputs[0].Schema
			picked, err := texts(b.Params, "Target columns", in)
			if err != nil {
				return nil, err
			}
			size := 1 << b.Params.Int("Hashing bitsize")
			var names []string
			for _, i := range picked {
				for k := range size {
					names = append(names, in[i].Name+"_HashingFeature_"+strconv.Itoa(k))
				}
			}
			n := int(b.Params.Int("N-grams"))
			return vectors(in, picked, names, func() vectorizer {
				return &hasher{size: size, grams: grams{size: n, longest: math.MaxInt, join: ' '}}
			})
		},
	}
}

type hasher struct {
	size int
	grams
}

func (h *hasher) vector(texts [][]byte, out []float64) bool {
	for _, text := range texts {
		mine := out[:h.size]
		out = out[h.size:]
		h.of(text, func(gram []byte) { mine[int(murmur.Sum32(gram, 0))&(h.size-1)]++ })
	}
	return true
}
