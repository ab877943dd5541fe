package manage

import (
	"encoding/json"
	"io"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/storage"
)

// receiptName is the file that package batch writes last for a dropped file.
const receiptName = "receipt.json"

// maxOutcomes bounds how many outcomes of one file name are listed.
const maxOutcomes = 100

// drops returns the folder of the path's service in containers drop and
// dropdone.
func (f *Function) drops(c call) (folder string, err error) {
	s, err := f.registry.Service(c.Context(), c.ws, c.svc, c.by)
	if err != nil {
		return "", err
	}
	return c.ws + "/" + s.ID, nil
}

// drop hands out a link to write a file into the drop container: a file there
// becomes a job of the service's default endpoint. Whoever has rights to the
// storage account writes there without asking.
func (f *Function) drop(w http.ResponseWriter, c call) error {
	folder, err := f.drops(c)
	if err != nil {
		return err
	}
	var body struct {
		Name string `json:"name"`
	}
	if err := c.body(&body); err != nil {
		return err
	}
	if !fileName(body.Name) {
		return badFileName(body.Name)
	}
	until := time.Now().UTC().Add(writeFor)
	write, err := f.store.Drop.SignWrite(c.Context(), folder+"/"+body.Name, until)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, map[string]link{"write": viewLink(write, until)})
}

// outcome is what became of one version of a dropped file.
type outcome struct {
	Receipt json.RawMessage `json:"receipt"`
	Files   []outcomeFile   `json:"files"`
	folder  string
}

type outcomeFile struct {
	Name string `json:"name"`
	Read link   `json:"read"`
}

// dropped lists what became of the files dropped under a name: an outcome for
// each version whose receipt is there.
func (f *Function) dropped(w http.ResponseWriter, c call) error {
	folder, err := f.drops(c)
	if err != nil {
		return err
	}
	name := c.PathValue("file")
	if !fileName(name) {
		return badFileName(name)
	}
	all := []outcome{}
	for info, err := range f.store.DropDone.List(c.Context(), folder+"/"+name+"/") {
		if err != nil {
			return err
		}
		if at := path.Dir(info.Key); len(all) == 0 || all[len(all)-1].folder != at {
			if len(all) == maxOutcomes {
				break
			}
			all = append(all, outcome{folder: at})
		}
		if err := f.addOutcome(c, &all[len(all)-1], info.Key); err != nil {
			return err
		}
	}
	all = slices.DeleteFunc(all, func(o outcome) bool { return o.Receipt == nil })
	return web.JSON(w, http.StatusOK, all)
}

// addOutcome adds a file of dropdone to the outcome it is part of.
func (f *Function) addOutcome(c call, o *outcome, key string) error {
	if path.Base(key) == receiptName {
		_, body, err := f.store.DropDone.Get(c.Context(), key, storage.ReadOptions{})
		if err != nil {
			return err
		}
		defer body.Close()
		if o.Receipt, err = io.ReadAll(io.LimitReader(body, maxBody)); err != nil {
			return fault.Wrap(err, fault.Unavailable, "read receipt")
		}
		return nil
	}
	until := time.Now().UTC().Add(readFor)
	read, err := f.store.DropDone.SignRead(c.Context(), key, until)
	if err != nil {
		return err
	}
	o.Files = append(o.Files, outcomeFile{path.Base(key), viewLink(read, until)})
	return nil
}
