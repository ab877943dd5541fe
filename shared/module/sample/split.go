package sample

import (
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const (
	modeRows        = "Split Rows"
	modeRecommender = "Recommender Split"
	modeRegular     = "Regular Expression"
	modeRelative    = "Relative Expression"
)

// SplitData divides the rows of a table in two.
func SplitData() *module.Module {
	in := func(mode string) *module.When {
		return &module.When{Param: "Splitting mode", Is: []string{mode}}
	}
	part := &module.Range{Min: 0, Max: 1}
	return &module.Module{
		Spec: module.Spec{
			Name: "Split Data", Aliases: []string{"Split"},
			Group: group, CodeVersion: 1, Nature: module.WholeTable, PicksRows: true,
			Inputs: []module.Port{{ID: "Dataset", Kind: service.Dataset, Doc: "The table to split."}},
			Outputs: []module.Port{
				{ID: "Results dataset1", Kind: service.Dataset, Doc: "The selected rows."},
				{ID: "Results dataset2", Kind: service.Dataset, Doc: "All other rows."},
			},
			Params: []module.Param{
				{
					Name: "Splitting mode", Type: module.Enumerated, Default: modeRows,
					Options: []string{modeRows, modeRecommender, modeRegular, modeRelative},
					Doc:     "Split by a fraction, by users and items of ratings, by a pattern in a text column, or by comparisons with a number or date column.",
				},
				{
					Name: "Fraction of rows in the first output dataset", Type: module.Float, Default: "0.5", Range: part, When: in(modeRows),
					Doc: "The part of the rows that goes to the first output, rounded down.",
				},
				{
					Name: "Randomized split", Type: module.Boolean, Default: "true", When: in(modeRows),
					Doc: "Draw the rows of the first output at random; otherwise they are the first rows.",
				},
				{
					Name: "Random seed", Type: module.Int, Default: "0", When: in(modeRows),
					Doc: "Another seed draws other rows; the same gives the same rows.",
				},
				{
					Name: "Stratified split", Type: module.Boolean, Default: "false", When: in(modeRows),
					Doc: "Divide the rows of each value of a column in this fraction.",
				},
				{
					Name: "Stratification key column", Type: module.ColumnPicker, Required: true, Single: true, When: &module.When{Param: "Stratified split", Is: []string{"true"}},
					Doc: "The strata column: of categories, texts, truth values or whole numbers.",
				},
				{
					Name: "Regular expression", Type: module.String, Required: true, When: in(modeRegular), Check: checkRegular,
					Doc: `A text column and a pattern, as in \"Text" Gryphon, or by the column's number from 0, as in (\1) ^[a-f]. Rows whose text has a match go to the first output. Patterns are in RE2's syntax.`,
				},
				{
					Name: "Relational expression", Type: module.String, Required: true, When: in(modeRelative), Check: checkRelative,
					Doc: `Comparisons of one column of numbers or dates, as in \"Year" > 2010 or (\0) <= 30 & != 20, with <, >, <=, >=, ==, != and & (and) before | (or). Rows for which it holds go to the first output.`,
				},
				{
					Name: "Fraction of training only users", Type: module.Float, Default: "0.5", Range: part, When: in(modeRecommender),
					Doc: "The part of the users whose ratings all go to the first output, for training.",
				},
				{
					Name: "Fraction of test user ratings for training", Type: module.Float, Default: "0.25", Range: part, When: in(modeRecommender),
					Doc: "The part of each other user's ratings that goes to the first output, one at least.",
				},
				{
					Name: "Fraction of cold users", Type: module.Float, Default: "0", Range: part, When: in(modeRecommender),
					Doc: "The part of the users whose ratings all go to the second output.",
				},
				{
					Name: "Fraction of cold items", Type: module.Float, Default: "0", Range: part, When: in(modeRecommender),
					Doc: "The part of the items whose ratings all go to the second output.",
				},
				{
					Name: "Fraction of ignored users", Type: module.Float, Default: "0", Range: part, When: in(modeRecommender),
					Doc: "The part of the users whose ratings go nowhere.",
				},
				{
					Name: "Fraction of ignored items", Type: module.Float, Default: "0", Range: part, When: in(modeRecommender),
					Doc: "The part of the items whose ratings go nowhere.",
				},
				{
					Name: "Remove occasionally produced cold items", Type: module.Boolean, Default: "false", When: in(modeRecommender),
					Doc: "Leave out of the second output the items that the first has not and that were not chosen as cold.",
				},
				{
					Name: "Random seed for recommender", Type: module.Int, Default: "0", When: in(modeRecommender),
					Doc: "Another seed draws other users, items and ratings; the same gives the same rows.",
				},
			},
			Doc: "Divides the rows of a table in two, at random or by a rule. Rows keep the table's order.",
		},
		Bind: bindSplit,
	}
}

// splitter says which rows of a table go to the first output and which to the
// second.
type splitter func(f *frame.Frame) (first, second []int, err error)

func bindSplit(b *module.Binding) (*module.Bound, error) {
	in := b.Inputs[0].Schema
	var split splitter
	var read []int
	var err error
	switch b.Params.Text("Splitting mode") {
	case modeRegular:
		split, read, err = regularSplit(b.Params.Text("Regular expression"), in)
	case modeRelative:
		split, read, err = relativeSplit(b.Params.Text("Relational expression"), in)
	case modeRecommender:
		split, read, err = recommenderSplit(b.Params, in)
	default:
		split, read, err = rowSplit(b.Params, in)
	}
	if err != nil {
		return nil, err
	}
	return &module.Bound{
		Op: module.OpFunc(func(in, out []*frame.Frame) error {
			first, second, err := split(in[0])
			if err != nil {
				return err
			}
			copy(out[0].Cols, take(in[0], first))
			copy(out[1].Cols, take(in[0], second))
			return nil
		}),
		Outputs: []frame.Schema{in, in},
		From:    [][]module.Source{passAll(len(in)), passAll(len(in))},
		Reads:   [][]int{read},
	}, nil
}

func rowSplit(p module.Values, in frame.Schema) (splitter, []int, error) {
	column, err := strataColumn(p, "Stratified split", "Stratification key column", in)
	if err != nil {
		return nil, nil, err
	}
	fraction, random, seed := p.Float("Fraction of rows in the first output dataset"), p.Bool("Randomized split"), p.Int("Random seed")
	return func(f *frame.Frame) (first, second []int, err error) {
		if f.Rows() < 2 {
			return nil, nil, module.Errorf(21, "the table has %d rows: splitting needs two", f.Rows())
		}
		rng := newRand(seed)
		chosen, n := make([]bool, f.Rows()), 0
		for _, stratum := range strata(f, column) {
			cut := share(fraction, len(stratum), math.Floor)
			n += cut
			if !random {
				for _, r := range stratum[:cut] {
					chosen[r] = true
				}
				continue
			}
			for _, i := range draw(rng, len(stratum))[:cut] {
				chosen[stratum[i]] = true
			}
		}
		first, second = make([]int, 0, n), make([]int, 0, f.Rows()-n)
		for r, yes := range chosen {
			if yes {
				first = append(first, r)
			} else {
				second = append(second, r)
			}
		}
		return first, second, nil
	}, reads(column)[0], nil
}

// recommender is the mode Recommender Split: fractions of users and items.
type recommender struct {
	trainingUsers, ratings                          float64
	coldUsers, coldItems, ignoredUsers, ignoredItem float64
	removeCold                                      bool
	seed                                            int64
}

// recommenderSplit takes the first column for users and the second for items,
// as rating data come: user, item and maybe a rating.
func recommenderSplit(p module.Values, in frame.Schema) (splitter, []int, error) {
	if len(in) != 2 && len(in) != 3 {
		return nil, nil, module.Errorf(22, "the table has %d columns: a recommender split needs users, items and maybe ratings", len(in))
	}
	s := recommender{
		trainingUsers: p.Float("Fraction of training only users"),
		ratings:       p.Float("Fraction of test user ratings for training"),
		coldUsers:     p.Float("Fraction of cold users"), coldItems: p.Float("Fraction of cold items"),
		ignoredUsers: p.Float("Fraction of ignored users"), ignoredItem: p.Float("Fraction of ignored items"),
		removeCold: p.Bool("Remove occasionally produced cold items"),
		seed:       p.Int("Random seed for recommender"),
	}
	if sum := s.coldUsers + s.trainingUsers; sum > 1 {
		return nil, nil, module.Errorf(7, "the fractions of cold and training only users sum to %v, which is more than 1", sum)
	}
	return s.split, []int{0, 1}, nil
}

// split follows the Studio's steps: ignored items, cold items, ignored users,
// cold users, training-only users, and each remaining user's ratings.
func (s *recommender) split(f *frame.Frame) (first, second []int, err error) {
	if f.Rows() < 2 {
		return nil, nil, module.Errorf(21, "the table has %d rows: splitting needs two", f.Rows())
	}
	rng := newRand(s.seed)
	left := make([]bool, f.Rows()) // not given to an output yet, and not ignored
	for r := range left {
		left[r] = true
	}
	some := func(groups [][]int, part float64) (chosen, rest [][]int) {
		n := share(part, len(groups), math.Round)
		order := draw(rng, len(groups))
		picked, others := order[:n], order[n:]
		slices.Sort(picked)
		slices.Sort(others)
		for _, g := range picked {
			chosen = append(chosen, groups[g])
		}
		for _, g := range others {
			rest = append(rest, groups[g])
		}
		return chosen, rest
	}
	give := func(groups [][]int, to *[]int) {
		for _, g := range groups {
			for _, r := range g {
				if left[r] {
					left[r] = false
					if to != nil {
						*to = append(*to, r)
					}
				}
			}
		}
	}
	ignored, items := some(strata(f, 1), s.ignoredItem)
	give(ignored, nil)
	cold, items := some(items, s.coldItems)
	give(cold, &second)
	users := remaining(strata(f, 0), left)
	ignored, users = some(users, s.ignoredUsers)
	give(ignored, nil)
	n := len(users)
	coldUsers, users := some(users, s.coldUsers)
	give(coldUsers, &second)
	if len(users) > 0 {
		training, others := some(users, min(1, s.trainingUsers*float64(n)/float64(len(users))))
		give(training, &first)
		users = others
	}
	for _, u := range users {
		order := draw(rng, len(u))
		cut := max(1, share(s.ratings, len(u), math.Round))
		for k, i := range order {
			if k < cut {
				first = append(first, u[i])
			} else {
				second = append(second, u[i])
			}
		}
	}
	if s.removeCold {
		second = withoutCold(first, second, items)
	}
	return first, second, nil
}

// remaining are the groups' rows that are left, without empty groups.
func remaining(groups [][]int, left []bool) [][]int {
	var out [][]int
	for _, g := range groups {
		g = slices.DeleteFunc(g, func(r int) bool { return !left[r] })
		if len(g) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// withoutCold returns the rows of second without those of items that first
// lacks, of the items given.
func withoutCold(first, second []int, items [][]int) []int {
	trained := make(map[int]bool, len(first))
	for _, r := range first {
		trained[r] = true
	}
	cold := make(map[int]bool)
	for _, rows := range items {
		if !slices.ContainsFunc(rows, func(r int) bool { return trained[r] }) {
			for _, r := range rows {
				cold[r] = true
			}
		}
	}
	return slices.DeleteFunc(second, func(r int) bool { return cold[r] })
}
