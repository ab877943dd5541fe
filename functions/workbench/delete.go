package workbench

import (
	"net/http"
	"strings"

	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
)

// deleteName deletes all versions of a name, deleteVersion one of them. What is
// in use stays: the error names who uses it. Who begins to use it after that was
// asked hears that it is gone, or has touched or named its artifacts, which then
// outlive it.
func (k kindOf) deleteName(w http.ResponseWriter, c call) error { return k.delete(w, c, 0) }

func (k kindOf) deleteVersion(w http.ResponseWriter, c call) error {
	v, err := k.here(c)
	if err != nil {
		return err
	}
	return k.delete(w, c, v.Number)
}

func (k kindOf) delete(w http.ResponseWriter, c call, number int) error {
	ctx, name := c.Context(), c.PathValue("name")
	all, err := k.catalog.Versions(ctx, c.ws, k.kind, name)
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	gone := map[string]bool{}
	for _, v := range all {
		if number == 0 || v.Number == number {
			gone[v.Digest] = true
		} else {
			kept[v.Digest] = true
		}
	}
	// With a version left, "latest" is that; and what another version has, too,
	// does not go.
	uses, err := k.runs.Uses(ctx, c.ws, k.kind, name, func(n int) bool {
		return number == 0 || n == number || n == 0 && len(all) == 1
	})
	if err != nil {
		return err
	}
	services, err := k.services.Uses(ctx, c.ws, func(digest string) bool { return gone[digest] && !kept[digest] })
	if err != nil {
		return err
	}
	if uses = append(uses, services...); len(uses) > 0 {
		return inUse(name, uses)
	}
	if err := k.catalog.Delete(ctx, c.ws, k.kind, name, number, c.id); err != nil {
		return err
	}
	return web.NoContent(w)
}

// maxUses bounds how many users of a thing an error names.
const maxUses = 10

func inUse(name string, uses []string) error {
	more := ""
	if n := len(uses) - maxUses; n > 0 {
		uses = uses[:maxUses]
		more = " and others"
	}
	return fault.New(fault.Conflict, catalog.CodeInUse, "%q is used by %s%s: it is not deleted", name, strings.Join(uses, ", "), more).At("name")
}
