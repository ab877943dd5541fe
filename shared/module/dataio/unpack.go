package dataio

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// maxUnpacked bounds the bytes of an unpacked file: what a dataset may have.
const maxUnpacked = 256 << 20

// UnpackZippedDatasets reads a table out of an archive.
func UnpackZippedDatasets() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Unpack Zipped Datasets", Aliases: []string{"Unpack Zipped Dataset"}, Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs:  []module.Port{{ID: "Dataset", Kind: service.Dataset, Doc: "An archive: a dataset uploaded in format zip or gzip, which is a table of one cell, Content, the file as base64."}},
			Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset, Doc: "The table that was in the archive."}},
			Params: []module.Param{
				{
					Name: "Compression", Type: module.Enumerated, Default: "Zip", Options: []string{"Zip", "Gzip"}, Schema: true,
					Doc: "How the archive is packed. Zip holds any number of files, Gzip one.",
				},
				{
					Name: "Dataset name", Type: module.String, Schema: true, When: &module.When{Param: "Compression", Is: []string{"Zip"}},
					Doc: "The file to unpack, with its folders as the archive has them. Empty where the archive holds a single file.",
				},
				{
					Name: "Data format", Type: module.Enumerated, Default: "CSV", Options: textFormats, Schema: true,
					Doc: "How the file is written.",
				},
				{
					Name: "File has header", Type: module.Boolean, Default: "false", Schema: true,
					When: &module.When{Param: "Data format", Is: []string{"CSV", "TSV"}},
					Doc:  "The first row names the columns; otherwise they are called Col1, Col2, …",
				},
			},
			Doc: "Reads one table out of a zip or gzip archive. A file of more than 256 MiB is refused while it is unpacked.",
		},
		Run: func(_ context.Context, c *module.Call) ([]module.Value, error) {
			packed, err := archive(c.Inputs[0].Frame)
			if err != nil {
				return nil, err
			}
			var text []byte
			if c.Params.Text("Compression") == "Zip" {
				text, err = unzip(packed, c.Params.Text("Dataset name"))
			} else {
				text, err = gunzip(packed)
			}
			if err != nil {
				return nil, err
			}
			f, bad := parse(text, c.Params.Text("Data format"), c.Params.Bool("File has header"))
			if bad != nil {
				return nil, bad
			}
			return []module.Value{module.Table(f)}, nil
		},
	}
}

// archive returns the file that the table holds.
func archive(f *frame.Frame) ([]byte, error) {
	c := f.Col("Content")
	if c == nil || c.Field.Type != frame.String || len(f.Cols) != 1 || f.Rows() != 1 {
		return nil, module.Errorf(48, "the dataset is no archive: upload the file in format zip or gzip")
	}
	b, err := base64.StdEncoding.DecodeString(string(c.Text(0)))
	if err != nil {
		return nil, module.Errorf(48, "the dataset is no archive: its cell Content is not base64")
	}
	return b, nil
}

func gunzip(packed []byte) ([]byte, error) {
	text, err := format.Gzip.Decompress(packed, maxUnpacked)
	if err != nil {
		return nil, module.Errorf(48, "%s", fault.Of(err).Msg)
	}
	return text, nil
}

func unzip(packed []byte, name string) ([]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, module.Errorf(48, "the zip archive is damaged or is none")
	}
	files := slices.DeleteFunc(slices.Clone(z.File), func(f *zip.File) bool { return f.FileInfo().IsDir() })
	var names []string
	var found *zip.File
	for _, f := range files {
		if len(names) < 10 {
			names = append(names, frame.Clip([]byte(f.Name)))
		}
		if f.Name == name {
			found = f
		}
	}
	if name == "" && len(files) == 1 {
		found = files[0]
	}
	switch {
	case found != nil:
	case name == "":
		return nil, module.Errorf(3, "the archive holds %d files: name the one to unpack; there are %s", len(files), strings.Join(names, ", ")).At("Dataset name")
	default:
		return nil, module.Errorf(2, "the archive has no file %q; there are %s", name, strings.Join(names, ", ")).At("Dataset name")
	}
	r, err := found.Open()
	if err != nil {
		return nil, module.Errorf(48, "file %q of the archive cannot be unpacked: it is encrypted or packed in a way that is not supported", frame.Clip([]byte(found.Name)))
	}
	defer r.Close()
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(r, maxUnpacked+1))
	switch {
	case n > maxUnpacked:
		return nil, module.Errorf(138, "file %q of the archive has more than %d bytes when it is unpacked", frame.Clip([]byte(found.Name)), maxUnpacked)
	case errors.Is(err, zip.ErrChecksum):
		return nil, module.Errorf(48, "file %q of the archive is damaged: its checksum does not hold", frame.Clip([]byte(found.Name)))
	case err != nil:
		return nil, module.Errorf(48, "file %q of the archive is damaged", frame.Clip([]byte(found.Name)))
	}
	return out.Bytes(), nil
}
