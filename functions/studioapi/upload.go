package studioapi

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// An upload is the blob {ws}/studio/{upload}: empty at first, with the type of
// the file as metadata. Blocks are its uncommitted parts, so that any process
// takes any of them; registering commits them, makes a dataset of the file, and
// leaves the empty blob with the dataset's id behind, for who asks again.

// Limits of an upload. A file's bytes are bounded as a dataset's are.
const (
	maxUpload = catalog.MaxDatasetBytes
	maxBlock  = 4 << 20 // clients send 2 MiB
	maxBlocks = 2048
)

// uploadLife is how long an upload may take: uncommitted parts live as long.
const uploadLife = 7 * 24 * time.Hour

// Metadata of an upload's blob.
const (
	metaType    = "datatype"
	metaDataset = "dataset" // once it is registered
)

func uploadsOf(ws string) string { return ws + "/studio/" }

// uploadView answers the calls of an upload.
type uploadView struct {
	ID         string `json:"Id"`
	DataTypeID string `json:"DataTypeId"`
}

// beginUpload begins an upload. A body is all of the file; without one, blocks
// follow. Whatever userStorage says, there is one storage.
func (f *Function) beginUpload(w http.ResponseWriter, c call) error {
	dataType := c.URL.Query().Get("dataTypeId")
	if _, err := parseDataType(dataType); err != nil {
		return err
	}
	body, err := web.ReadBody(c.Request, maxUpload, nil)
	if err != nil {
		return err
	}
	id := service.NewID()
	if _, err := f.blobs.Put(c.Context(), uploadsOf(c.ws)+id, body, map[string]string{metaType: dataType}, storage.Condition{IfAbsent: true}); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, uploadView{id, dataType})
}

// upload finds an upload that was begun.
func (f *Function) upload(c call, id string) (storage.BlobInfo, error) {
	absent := fault.New(fault.NotFound, "UploadNotFound", "there is no upload %.100q in the workspace: POST resourceuploads begins one, and a week later it is gone", id).At("uploadId")
	if !service.ValidID(id) {
		return storage.BlobInfo{}, absent
	}
	info, err := f.blobs.Head(c.Context(), uploadsOf(c.ws)+id)
	if fault.Is(err, fault.NotFound) {
		err = absent
	}
	return info, err
}

// count reads a query parameter from least to most.
func (c call) count(name string, least, most int) (int, error) {
	n, err := strconv.Atoi(c.URL.Query().Get(name))
	if err != nil || n < least || n > most {
		return 0, fault.New(fault.BadArgument, "InvalidQueryParameter", "%s=%.40s: a number from %d to %d is needed", name, c.URL.Query().Get(name), least, most).At(name)
	}
	return n, nil
}

// partID names block i of n. The number of blocks is part of it, so that a
// file sent again in blocks of another size is not mixed with the first.
func partID(n, i int) storage.PartID {
	var id storage.PartID
	binary.BigEndian.PutUint64(id[:8], uint64(n))
	binary.BigEndian.PutUint64(id[8:], uint64(i))
	return id
}

// block takes one block of an upload. Blocks come in any order; one that comes
// again replaces the first.
func (f *Function) block(w http.ResponseWriter, c call) error {
	n, err := c.count("numberOfBlocks", 1, maxBlocks)
	if err != nil {
		return err
	}
	i, err := c.count("blockId", 0, n-1)
	if err != nil {
		return err
	}
	id := c.URL.Query().Get("uploadId")
	info, err := f.upload(c, id)
	if err != nil {
		return err
	}
	if of := c.URL.Query().Get("dataTypeId"); of != "" && of != info.Meta[metaType] {
		return fault.New(fault.BadArgument, "InvalidQueryParameter", "dataTypeId=%.40s: the upload was begun as %s", of, info.Meta[metaType]).At("dataTypeId")
	}
	if info.Meta[metaDataset] != "" {
		return fault.New(fault.InvalidOperation, "UploadRegistered", "the upload is a dataset already: begin another").At("uploadId")
	}
	body, err := web.ReadBody(c.Request, maxBlock, nil)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return fault.New(fault.BadArgument, "RequestIsEmpty", "block %d of %d has no bytes", i, n)
	}
	if err := f.blobs.PutPart(c.Context(), info.Key, partID(n, i), body); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, uploadView{id, info.Meta[metaType]})
}

// registration is the body that makes a dataset of an upload.
type registration struct {
	DataSource struct {
		Name        string
		DataTypeID  string `json:"DataTypeId"`
		Description string
		FamilyID    string `json:"FamilyId"`
	}
	UploadID string `json:"UploadId"`
}

// maxRegistration bounds that body.
const maxRegistration = 64 << 10

// registerUpload makes a dataset of an upload, and answers with its id. A
// FamilyId makes it a new version of that dataset; without one the name must be
// new.
func (f *Function) registerUpload(w http.ResponseWriter, c call) error {
	var in registration
	if err := c.decode(&in, maxRegistration); err != nil {
		return err
	}
	if in.UploadID == "" {
		return fault.New(fault.BadArgument, "RequestBodyInvalid", "the body names no UploadId; a run's result is no dataset here: download it and upload that").At("UploadId")
	}
	info, err := f.upload(c, in.UploadID)
	if err != nil {
		return err
	}
	if done := info.Meta[metaDataset]; done != "" {
		return web.JSON(w, http.StatusOK, c.ws+"."+done)
	}
	n, err := f.datasetOf(c, &in, info)
	if err != nil {
		return err
	}
	if info, n.Content, err = f.file(c.Context(), info); err != nil {
		return err
	}
	v, err := f.catalog.SaveDataset(c.Context(), c.ws, *n, c.id)
	if err != nil {
		return err
	}
	// The dataset is there: what fails now only leaves more for SweepUploads.
	id := versionID(c.ws, v)
	meta := map[string]string{metaType: info.Meta[metaType], metaDataset: strings.TrimPrefix(id, c.ws+".")}
	_, _ = f.blobs.Put(c.Context(), info.Key, nil, meta, storage.Condition{IfMatch: info.ETag})
	return web.JSON(w, http.StatusOK, id)
}

// datasetOf returns the dataset that a registration asks for, without its
// content.
func (f *Function) datasetOf(c call, in *registration, upload storage.BlobInfo) (*catalog.NewDataset, error) {
	d := in.DataSource
	t, err := parseDataType(cmp.Or(d.DataTypeID, upload.Meta[metaType]))
	if err != nil {
		return nil, err
	}
	n := &catalog.NewDataset{Name: d.Name, Description: d.Description, Format: t.format, NoHeader: t.noHeader, New: d.FamilyID == ""}
	if n.New {
		return n, nil
	}
	v, err := f.newest(c.Context(), c.ws, d.FamilyID)
	if err != nil {
		return nil, err
	}
	if n.Name == "" {
		n.Name = v.Name
	}
	if n.Name != v.Name {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "the dataset of this FamilyId is called %q: its versions share the name", v.Name).At("Name")
	}
	return n, nil
}

// file reads an upload, after committing the blocks that wait for it.
func (f *Function) file(ctx context.Context, info storage.BlobInfo) (storage.BlobInfo, []byte, error) {
	parts, err := f.blobs.Parts(ctx, info.Key)
	if err != nil {
		return info, nil, err
	}
	if len(parts) > 0 {
		ids, err := order(parts)
		if err != nil {
			return info, nil, err
		}
		if info, err = f.blobs.Commit(ctx, info.Key, ids, info.Meta, storage.Condition{IfMatch: info.ETag}); err != nil {
			return info, nil, err
		}
	}
	info, r, err := f.blobs.Get(ctx, info.Key, storage.ReadOptions{})
	if err != nil {
		return info, nil, err
	}
	defer r.Close()
	if info.Size == 0 {
		return info, nil, fault.New(fault.BadArgument, "RequestIsEmpty", "nothing was uploaded: the upload has neither a body nor blocks").At("UploadId")
	}
	body := make([]byte, info.Size)
	if _, err := io.ReadFull(r, body); err != nil {
		return info, nil, fault.Wrap(err, fault.Unavailable, "read an upload")
	}
	return info, body, nil
}

// order puts the blocks of a file in their order. All of them must be there.
func order(parts []storage.Part) ([]storage.PartID, error) {
	var size int64
	there := map[uint64]bool{} // by index
	sizes := map[uint64]bool{} // numbers of blocks that were named
	for _, p := range parts {
		size += p.Size
		sizes[binary.BigEndian.Uint64(p.ID[:8])] = true
		there[binary.BigEndian.Uint64(p.ID[8:])] = true
	}
	if len(sizes) > 1 {
		return nil, fault.New(fault.BadArgument, "InvalidQueryParameter", "the blocks of the upload belong to files of %s blocks: begin another upload", joined(sizes)).At("numberOfBlocks")
	}
	if size > maxUpload {
		return nil, fault.New(fault.TooLarge, "", "the upload has %d bytes: at most %d are allowed", size, int64(maxUpload))
	}
	n := binary.BigEndian.Uint64(parts[0].ID[:8])
	ids := make([]storage.PartID, n)
	for i := range n {
		if !there[i] {
			return nil, fault.New(fault.InvalidOperation, "UploadIncomplete", "block %d of %d has not come: %d have", i, n, len(parts)).At("UploadId")
		}
		ids[i] = partID(int(n), int(i))
	}
	return ids, nil
}

func joined(numbers map[uint64]bool) string {
	var texts []string
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		texts = append(texts, strconv.FormatUint(n, 10))
	}
	return strings.Join(texts, " and ")
}

// SweepUploads deletes the uploads of one workspace that were begun longer ago
// than they may take, the first after cursor, and returns its id; "" after the
// last. It is a duty of the sweep function.
func (f *Function) SweepUploads(ctx context.Context, cursor string) (string, error) {
	all, err := f.catalog.Workspaces(ctx, auth.Identity{Operator: true})
	if err != nil {
		return cursor, err
	}
	next := ""
	for _, w := range all {
		if w.ID > cursor && (next == "" || w.ID < next) {
			next = w.ID
		}
	}
	if next == "" {
		return "", nil
	}
	for info, err := range f.blobs.List(ctx, uploadsOf(next)) {
		if err != nil {
			return cursor, fmt.Errorf("list uploads: %w", err)
		}
		if time.Since(info.Modified) < uploadLife {
			continue
		}
		err := f.blobs.Delete(ctx, info.Key, storage.Condition{IfMatch: info.ETag})
		if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Conflict) {
			return cursor, err
		}
	}
	return next, nil
}
