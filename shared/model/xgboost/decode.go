package xgboost

import (
	"math"
	"strconv"
)

// decoder walks the document and keeps what scoring needs.
type decoder struct {
	reader
	m          *file
	numFeature int64
	parallel   int
	treeInfo   []int32
	weightDrop []float32
	columns    arrays // of the tree being read
	seen       struct{ learner, trees bool }
}

// members reads an object, sending each key to its reader and skipping keys
// that have none.
func (d *decoder) members(readers map[string]func() error) error {
	return d.object(func(key string) error {
		if read, ok := readers[key]; ok {
			return read()
		}
		return d.skip()
	})
}

// param reads a parameter, which XGBoost writes as text.
func (d *decoder) param(dst *int64) func() error {
	return func() error {
		s, err := d.text()
		if err != nil {
			return err
		}
		v, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return refuse("%s is not an integer", strconv.Quote(s))
		}
		*dst = v
		return nil
	}
}

func (d *decoder) textInto(dst *string) func() error {
	return func() (err error) {
		*dst, err = d.text()
		return err
	}
}

func (d *decoder) textsInto(dst *[]string) func() error {
	return func() error {
		*dst = nil
		return d.array(func() error {
			s, err := d.text()
			*dst = append(*dst, s)
			return err
		})
	}
}

func (d *decoder) document() error {
	return d.members(map[string]func() error{
		"version": func() error {
			v, err := d.ints()
			for i := range min(len(v), 3) {
				d.m.release[i] = int(v[i])
			}
			return err
		},
		"learner": d.learner,
	})
}

func (d *decoder) learner() error {
	d.seen.learner = true
	var base string
	var classes, targets int64
	err := d.members(map[string]func() error{
		"feature_names": d.textsInto(&d.m.names),
		"feature_types": d.textsInto(&d.m.types),
		"attributes":    d.attributes,
		"learner_model_param": func() error {
			return d.members(map[string]func() error{
				"base_score":  d.textInto(&base),
				"num_class":   d.param(&classes),
				"num_feature": d.param(&d.numFeature),
				"num_target":  d.param(&targets),
			})
		},
		"objective": func() error {
			return d.members(map[string]func() error{"name": d.textInto(&d.m.objective)})
		},
		"gradient_booster": d.booster,
	})
	if err != nil {
		return err
	}
	d.m.classes, d.m.targets = int(classes), int(targets)
	d.m.base, err = parseBase(base)
	return err
}

func (d *decoder) attributes() error {
	return d.members(map[string]func() error{"best_iteration": func() error {
		s, err := d.text()
		if v, bad := strconv.Atoi(s); bad == nil && v >= 0 {
			d.m.bestIteration = v
		}
		return err
	}})
}

// booster reads gbtree's {"name", "model"}, dart's {"name", "gbtree":
// {"model"}, "weight_drop"}, and gblinear's {"name", "model": {"weights"}}.
func (d *decoder) booster() error {
	return d.members(map[string]func() error{
		"name":  d.textInto(&d.m.booster),
		"model": d.ensemble,
		"gbtree": func() error {
			return d.members(map[string]func() error{"model": d.ensemble})
		},
		"weight_drop": func() (err error) {
			d.weightDrop, err = d.floats()
			return err
		},
	})
}

func (d *decoder) ensemble() error {
	return d.members(map[string]func() error{
		"gbtree_model_param": func() error {
			var parallel, leafVector int64
			err := d.members(map[string]func() error{
				"num_parallel_tree": d.param(&parallel),
				"size_leaf_vector":  d.param(&leafVector),
			})
			d.parallel = int(max(0, min(parallel, 1<<20)))
			if err == nil && leafVector > 1 {
				err = errVectorLeaf
			}
			return err
		},
		"tree_info": func() (err error) {
			d.treeInfo, err = d.ints()
			return err
		},
		"trees": func() error {
			d.seen.trees = true
			d.m.forest.Trees = nil
			readers := d.treeReaders()
			return d.array(func() error { return d.tree(readers) })
		},
		"cats": d.categories,
		"weights": func() (err error) {
			d.m.weights, err = d.floats()
			return err
		},
	})
}

var errVectorLeaf = refuse("its trees have vector leaves (multi_strategy=multi_output_tree): train with one_output_per_tree, or a model for each output")

// categories reads the levels that XGBoost 3.1 and later keep: for each
// feature either text as offsets into bytes, or numbers.
func (d *decoder) categories() error {
	var offsets []int32
	var values []float64
	var isText bool
	readers := map[string]func() error{
		"offsets": func() (err error) { isText = true; offsets, err = d.ints(); return err },
		"values":  func() (err error) { values, err = d.doubles(); return err },
	}
	return d.members(map[string]func() error{"enc": func() error {
		d.m.levels, d.m.wholeLevels = [][]string{}, nil
		return d.array(func() error {
			offsets, values, isText = nil, nil, false
			if err := d.members(readers); err != nil {
				return err
			}
			var levels []string
			var err error
			whole := !isText && len(values) > 0
			if isText {
				levels, err = textLevels(offsets, values)
			} else {
				for _, v := range values {
					isWhole := v == math.Trunc(v) && math.Abs(v) < 1<<53
					whole = whole && isWhole
					spelling := byte('g')
					if isWhole {
						spelling = 'f'
					}
					levels = append(levels, strconv.FormatFloat(v, spelling, -1, 64))
				}
			}
			d.m.levels = append(d.m.levels, levels)
			d.m.wholeLevels = append(d.m.wholeLevels, whole)
			return err
		})
	}})
}

// textLevels cuts bytes, which come as signed numbers, at offsets.
func textLevels(offsets []int32, values []float64) ([]string, error) {
	text := make([]byte, len(values))
	for i, v := range values {
		if v < -128 || v > 255 || v != float64(int(v)) {
			return nil, refuse("a category's text has byte %v", v)
		}
		text[i] = byte(int(v))
	}
	var levels []string
	for i := 1; i < len(offsets); i++ {
		lo, hi := offsets[i-1], offsets[i]
		if lo < 0 || hi < lo || int(hi) > len(text) {
			return nil, refuse("a category's text lies outside the file")
		}
		levels = append(levels, string(text[lo:hi]))
	}
	return levels, nil
}

// arrays are a tree as the file has it: a column for each property of nodes.
type arrays struct {
	left, right, feature, missingLeft, kind  []int32
	condition, cover                         []float32
	categories, catNodes, catStarts, catSize []int32
	leafVector                               int64
}

func (d *decoder) intsInto(dst *[]int32) func() error {
	return func() (err error) {
		*dst, err = d.ints()
		return err
	}
}

func (d *decoder) treeReaders() map[string]func() error {
	a := &d.columns
	param := map[string]func() error{"size_leaf_vector": d.param(&a.leafVector)}
	return map[string]func() error{
		"left_children":       d.intsInto(&a.left),
		"right_children":      d.intsInto(&a.right),
		"split_indices":       d.intsInto(&a.feature),
		"default_left":        d.intsInto(&a.missingLeft),
		"split_type":          d.intsInto(&a.kind),
		"split_conditions":    func() (err error) { a.condition, err = d.floats(); return err },
		"sum_hessian":         func() (err error) { a.cover, err = d.floats(); return err },
		"categories":          d.intsInto(&a.categories),
		"categories_nodes":    d.intsInto(&a.catNodes),
		"categories_segments": d.intsInto(&a.catStarts),
		"categories_sizes":    d.intsInto(&a.catSize),
		"tree_param":          func() error { return d.members(param) },
	}
}

// tree reads one tree and appends it to the forest.
func (d *decoder) tree(readers map[string]func() error) error {
	d.columns = arrays{}
	if err := d.members(readers); err != nil {
		return err
	}
	if d.columns.leafVector > 1 {
		return errVectorLeaf
	}
	f := &d.m.forest
	t, err := d.columns.tree()
	if err != nil {
		return refuse("tree %d: %v", len(f.Trees), err)
	}
	f.Trees = append(f.Trees, t)
	return nil
}
