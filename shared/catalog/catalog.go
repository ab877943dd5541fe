// Package catalog keeps what a workspace owns: its members, experiments,
// datasets, trained models and transformations, and the versions of these.
//
// Bodies (files, documents, records) are artifacts under their digest; rows
// hold the digests. Every change is one conditional Apply, so two people who
// change one thing at once cannot lose each other's work.
//
// Rows of the table "catalog", and the query each serves:
//
//	partition           row                  serves
//	workspaces          {ws}                 the list of workspaces; written once, before the workspace
//	{ws}.members        workspace            name, settings, token slots; its ETag guards every change of members
//	{ws}.members        p.{hash}  g.{hash}   a person's or a group's role; Role reads the partition at once
//	{ws}.experiments    {id}                 one experiment; the list
//	{ws}.datasets       n.{hash}             a name and its newest version; the list
//	{ws}.datasets       v.{hash}.{number}    one version, never changed; the versions of a name
//	{ws}.models         n.…  v.…             likewise
//	{ws}.transforms     n.…  v.…             likewise
//	{ws}.…              z.{~time}            in all of these, the audit: what was changed or deleted there, newest first
//	ring                {entry}              the mark of a master key, to notice another one under its name
//
// {hash} is the SHA-256 of a name that people gave (of issuer and subject, for
// members): names are free text and keys are not.
package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

const table = "catalog"

// Catalog is safe for concurrent use.
type Catalog struct {
	tables    storage.Tables
	artifacts *artifact.Store
	ring      *auth.Ring

	mu       sync.Mutex
	snapshot map[string]*snapshot // by workspace
}

// New returns the catalog kept in tables and artifacts. ring derives the
// tokens of workspaces.
func New(tables storage.Tables, artifacts *artifact.Store, ring *auth.Ring) *Catalog {
	return &Catalog{tables: tables, artifacts: artifacts, ring: ring, snapshot: map[string]*snapshot{}}
}

// setBy and readBy keep who did something in two properties.
func setBy(p storage.Props, w auth.Who) {
	p["by"] = w.ID
	p["byName"] = w.Name
}

func readBy(p storage.Props) auth.Who {
	return auth.Who{ID: p.Str("by"), Name: p.Str("byName")}
}

// hash is the row-key form of free text; its parts cannot run into each other.
func hash(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

const maxName = 128

// CheckName refuses what cannot be the name of a dataset, model, experiment or
// workspace. Names stand in URLs, file names and references like
// "dataset:name@version".
func CheckName(what, name string) error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.BadArgument, "BadParameterValue", "the name of the %s %s", what, fmt.Sprintf(format, args...)).At("name")
	}
	switch {
	case name == "":
		return bad("must not be empty")
	case !utf8.ValidString(name):
		return bad("must be valid UTF-8")
	case utf8.RuneCountInString(name) > maxName:
		return bad("has %d characters: at most %d are allowed", utf8.RuneCountInString(name), maxName)
	case strings.TrimSpace(name) != name:
		return bad("must not begin or end with a blank: %q", name)
	case name == "." || name == "..":
		return bad("must not be %q", name)
	}
	for _, r := range name {
		if unicode.IsControl(r) || strings.ContainsRune(`/\@`, r) {
			return bad("must not contain %q", r)
		}
	}
	return nil
}

func checkID(what, code, id string) error {
	if !service.ValidID(id) {
		return notFound(code, "%s does not exist", what)
	}
	return nil
}

func notFound(code, format string, args ...any) error {
	return fault.New(fault.NotFound, code, format, args...)
}

// lost reports whether err is a lost race: the row changed, or came to be,
// between reading and writing.
func lost(err error) bool {
	return fault.HasCode(err, storage.CodeCondition) || fault.HasCode(err, storage.CodeExists)
}

// settled makes of an Apply's missing row a lost race: what was read before is
// gone now, because somebody else deleted it or this write's first try did.
func settled(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.Conflict, storage.CodeCondition, "a row was deleted meanwhile").Because(err)
	}
	return err
}

// again runs change until it does not lose a race.
func again(ctx context.Context, what string, change func() error) error {
	for try := range 10 {
		err := change()
		if !lost(err) {
			return err
		}
		pause := time.Duration(rand.Int64N(int64(5*time.Millisecond) << min(try, 5)))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fault.Wrap(ctx.Err(), fault.Timeout, "change "+what)
		}
	}
	return fault.New(fault.Throttled, "", "%s is being changed by many at once: try again", what)
}

// absent turns the port's NotFound into one that names the thing.
func absent(err error, code, format string, args ...any) error {
	if fault.Is(err, fault.NotFound) {
		return notFound(code, format, args...)
	}
	return err
}
