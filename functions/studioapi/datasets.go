package studioapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/service"
)

// linkLife is how long the address of a dataset's file is good: clients keep
// the list they once read.
const linkLife = 24 * time.Hour

// assetView is what datasets, trained models and transformations have in
// common.
type assetView struct {
	ID               string `json:"Id"`
	Name             string
	DataTypeID       string `json:"DataTypeId"`
	Description      string
	FamilyID         string `json:"FamilyId"`
	ResourceUploadID string `json:"ResourceUploadId"`
	SourceOrigin     string
	Size             int64
	CreatedDate      string
	CreatedDateTicks int64
	Owner            string
	ExperimentID     *string `json:"ExperimentId"`
	ClientVersion    *string
	ServiceVersion   int
	PromotedFrom     *string
	IsLatest         bool
	IsDeprecated     bool
	Category         string
	Culture          *string
	Batch            int
}

// datasetView is the classic DataSource object.
type datasetView struct {
	assetView
	UploadedFromFilename string
	DownloadLocation     location
	VisualizeEndPoint    location // nothing, but R needs the object
	SchemaEndPoint       location // likewise
	SchemaStatus         string
}

// location is an address in parts: BaseUri, Location and AccessCredential, one
// after the other.
type location struct {
	BaseURI             string `json:"BaseUri"`
	Size                int64
	Name                string
	EndpointType        string
	CredentialContainer string
	AccessCredential    string
	Location            string
	FileType            string
	IsAuxiliary         bool
}

// family is the id that the versions of a name share.
func family(name string) string { return artifact.Digest([]byte(name))[:32] }

func versionID(ws string, v *catalog.Version) string {
	return fmt.Sprintf("%s.%s.v%d", ws, family(v.Name), v.Number)
}

// ticks counts 100 ns from the year 1.
func ticks(t time.Time) int64 { return (t.UnixMicro() - time.Time{}.UnixMicro()) * 10 }

func asset(ws string, v *catalog.Version, dataType string, latest bool) assetView {
	upload := v.Original
	if upload == "" {
		upload = v.Digest
	}
	origin := "FromResourceUpload"
	if v.Original == "" {
		origin = "FromOutputPromotion"
	}
	return assetView{
		ID: versionID(ws, v), Name: v.Name, DataTypeID: dataType, Description: v.Description, FamilyID: family(v.Name),
		ResourceUploadID: upload[:32], SourceOrigin: origin, Size: v.Bytes, CreatedDate: date(v.Created), CreatedDateTicks: ticks(v.Created),
		Owner: v.By.Name, IsLatest: latest, Batch: 1,
	}
}

func (f *Function) viewDataset(ctx context.Context, ws string, v *catalog.Version, latest bool) (*datasetView, error) {
	link, err := f.catalog.Link(ctx, ws, v.Original, time.Now().Add(linkLife))
	if err != nil {
		return nil, err
	}
	container, _, _ := strings.Cut(link.Path, "/")
	dataType := dataTypeOf(v)
	return &datasetView{
		assetView: asset(ws, v, dataType, latest), SchemaStatus: "Complete",
		DownloadLocation: location{
			BaseURI: link.Base, Location: link.Path, AccessCredential: link.Query, Size: v.Bytes, Name: v.Name,
			EndpointType: "AzureBlobStorage", CredentialContainer: container, FileType: dataType,
		},
	}, nil
}

func (f *Function) datasets(w http.ResponseWriter, c call) error {
	all, err := f.catalog.List(c.Context(), c.ws, service.Dataset)
	if err != nil {
		return err
	}
	views := make([]*datasetView, len(all))
	for i, v := range all {
		if views[i], err = f.viewDataset(c.Context(), c.ws, v, true); err != nil {
			return err
		}
	}
	return list(w, c, views)
}

// newest finds the newest version of a family.
func (f *Function) newest(ctx context.Context, ws, id string) (*catalog.Version, error) {
	all, err := f.catalog.List(ctx, ws, service.Dataset)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if family(v.Name) == id {
			return v, nil
		}
	}
	return nil, fault.New(fault.NotFound, "DatasetNotFound", "there is no dataset %.100q in the workspace", id)
}

func (f *Function) dataset(w http.ResponseWriter, c call) error {
	id := c.PathValue("id")
	absent := fault.New(fault.NotFound, "DatasetNotFound", "there is no dataset %.100q in the workspace", id)
	rest, ok := strings.CutPrefix(id, c.ws+".")
	fam, number, cut := strings.Cut(rest, ".v")
	n, err := strconv.ParseUint(number, 10, 26)
	if !ok || !cut || err != nil || n == 0 {
		return absent
	}
	v, err := f.newest(c.Context(), c.ws, fam)
	if err != nil {
		return err
	}
	latest := v.Number == int(n)
	if !latest {
		if v, err = f.catalog.Saved(c.Context(), c.ws, service.Dataset, v.Name, int(n)); err != nil {
			return err
		}
	}
	view, err := f.viewDataset(c.Context(), c.ws, v, latest)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, view)
}

func (f *Function) datasetFamily(w http.ResponseWriter, c call) error {
	v, err := f.newest(c.Context(), c.ws, c.PathValue("family"))
	if err != nil {
		return err
	}
	all, err := f.catalog.Versions(c.Context(), c.ws, service.Dataset, v.Name)
	if err != nil {
		return err
	}
	views := make([]*datasetView, len(all))
	for i, v := range all {
		if views[i], err = f.viewDataset(c.Context(), c.ws, v, i == 0); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, views)
}

// dataType is how a file of a classic type is read.
type dataType struct {
	format   string
	noHeader bool
}

// dataTypes are the types whose names are not those of formats, by name in
// lower case. A plain text is a table without header, too.
var dataTypes = map[string]dataType{
	"genericcsv":         {format.CSV, false},
	"genericcsvnoheader": {format.CSV, true},
	"generictsv":         {format.TSV, false},
	"generictsvnoheader": {format.TSV, true},
	"plaintext":          {format.TSV, true},
}

// classic are the names of the types of formats, where the old service had one.
var classic = map[string]string{
	format.CSV: "GenericCSV", format.TSV: "GenericTSV", format.ARFF: "ARFF", format.SVMLight: "SvmLight", format.ZipFile: "Zip",
}

// parseDataType reads a DataTypeId: a classic one, or the name of one of our
// formats.
func parseDataType(id string) (dataType, error) {
	if t, ok := dataTypes[strings.ToLower(id)]; ok {
		return t, nil
	}
	if ft := format.Lookup(id); ft != nil {
		return dataType{format: ft.Name}, nil
	}
	return dataType{}, fault.New(fault.BadArgument, "DataTypeNotSupported",
		"dataTypeId %.40q: one of GenericCSV, GenericCSVNoHeader, GenericTSV, GenericTSVNoHeader, PlainText, %s", id, strings.Join(format.Names(), ", ")).At("dataTypeId")
}

// dataTypeOf returns the classic type of a dataset's file. A format that the
// old service did not have, a compression included, goes by its own name, so
// that a client says it does not know it.
func dataTypeOf(v *catalog.Version) string {
	name, ok := classic[v.Format]
	switch {
	case !ok:
		return v.Format
	case v.NoHeader:
		return name + "NoHeader"
	}
	return name
}
