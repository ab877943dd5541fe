package batch

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// Options are the parts of a job that the old service did not have. They come
// in the member "Options" of a submit body.
type Options struct {
	// RowErrors is what a row that cannot be read or scored does: "fail" ends
	// the job, "collect" puts the row into the error file. Empty: as the
	// endpoint's settings say, else fail.
	RowErrors string `json:"RowErrors,omitempty"`
	// MaxBadRows and MaxBadPercent are how much "collect" bears.
	MaxBadRows    *int64   `json:"MaxBadRows,omitempty"`
	MaxBadPercent *float64 `json:"MaxBadPercent,omitempty"`
	// ExtraColumns is what a column that the service does not know does:
	// "ignore" (the default) or "error".
	ExtraColumns string `json:"ExtraColumns,omitempty"`
}

// UnmarshalJSON refuses what is no option: a name written wrong would else be
// a policy that is not applied.
func (o *Options) UnmarshalJSON(text []byte) error {
	type plain Options
	var p plain
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return fault.New(fault.BadArgument, "BadParameterValue", "Options has no member %s: there are RowErrors, MaxBadRows, MaxBadPercent and ExtraColumns", frame.Clip([]byte(name))).At("Options")
		}
		return err
	}
	*o = Options(p)
	return nil
}

const (
	rowsFail     = "fail"
	rowsCollect  = "collect"
	extrasIgnore = "ignore"
	extrasError  = "error"
)

// settle checks the options and fills in the defaults.
func (o *Options) settle(endpointDefault string) error {
	o.RowErrors, o.ExtraColumns = strings.ToLower(o.RowErrors), strings.ToLower(o.ExtraColumns)
	if o.RowErrors == "" {
		o.RowErrors = endpointDefault
	}
	def(&o.RowErrors, rowsFail)
	def(&o.ExtraColumns, extrasIgnore)
	bad := func(name, rule string) error {
		return fault.New(fault.BadArgument, "BadParameterValue", "Options.%s %s", name, rule).At("Options." + name)
	}
	switch {
	case o.RowErrors != rowsFail && o.RowErrors != rowsCollect:
		return bad("RowErrors", `is "fail" or "collect"`)
	case o.ExtraColumns != extrasIgnore && o.ExtraColumns != extrasError:
		return bad("ExtraColumns", `is "ignore" or "error"`)
	case o.MaxBadRows != nil && *o.MaxBadRows < 0:
		return bad("MaxBadRows", "is a number of rows, 0 or more")
	case o.MaxBadPercent != nil && !(*o.MaxBadPercent >= 0 && *o.MaxBadPercent <= 100):
		return bad("MaxBadPercent", "is between 0 and 100")
	case o.RowErrors == rowsFail && (o.MaxBadRows != nil || o.MaxBadPercent != nil):
		return bad("RowErrors", `is "collect" where MaxBadRows or MaxBadPercent is given`)
	}
	return nil
}

// judge decides, from the totals of all chunks, whether too many rows were
// bad. From those of some it may do so too: then soFar says it.
func (o *Options) judge(t totals, soFar string) error {
	allowed := ""
	switch {
	case o.MaxBadRows != nil && t.Bad > *o.MaxBadRows:
		allowed = strconv.FormatInt(*o.MaxBadRows, 10)
	case o.MaxBadPercent != nil && t.RowsIn > 0 && float64(t.Bad)*100 > *o.MaxBadPercent*float64(t.RowsIn):
		allowed = strconv.FormatFloat(*o.MaxBadPercent, 'g', -1, 64) + " %"
	default:
		return nil
	}
	first := ""
	if t.First != nil { // rows of completion of older releases have none
		first = "; one is " + t.First.Why
		if soFar == "" {
			first = "; the first is " + t.First.Why
		}
	}
	return fault.New(fault.BadUserArgument, "InputParseError", "%d of %d rows%s are bad; the job allows %s%s", t.Bad, t.RowsIn, soFar, allowed, first)
}

// hopeless reports that the totals so far already decide the end: no row to
// come can lower a count.
func (o *Options) hopeless(t totals) bool { return o.MaxBadRows != nil && t.Bad > *o.MaxBadRows }
