package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/client"
)

func modelCommands() []command {
	return []command{
		{
			name: "model import", args: "FILE", short: "bring a trained model of another program", least: 1, most: 1,
			long: `What the file does not say of its features comes from -binding, a document, or from
-schema-from, a table of what it was trained on. With -check, a table with the scores
that its own program gave, every row is scored, and the import is refused where one
differs.`,
			flags: func(f *flag.FlagSet, o *options) {
				o.member(f)
				f.StringVar(&o.name, "name", "", "`name` of the model; one that is there gets a new version (needed)")
				f.StringVar(&o.binding, "binding", "", "`file` of the binding, JSON")
				f.StringVar(&o.schemaFrom, "schema-from", "", "`file` of records that show columns, types and levels")
				f.StringVar(&o.check, "check", "", "`file` of records and the scores expected")
			},
			run: importModel,
		},
		{
			name: "model list", short: "list the trained models of a workspace",
			flags: func(f *flag.FlagSet, o *options) { o.member(f) }, run: listModels,
		},
		{
			name: "model get", args: "NAME", short: "show a trained model, or save its file", least: 1, most: 1,
			flags: func(f *flag.FlagSet, o *options) {
				o.member(f)
				f.StringVar(&o.version, "version", "latest", "`number` of the version")
				f.StringVar(&o.out, "out", "", "save the model in this `file`, .ilearner")
				f.BoolVar(&o.original, "original", false, "save the file as it was imported")
			},
			run: getModel,
		},
	}
}

func importModel(ctx context.Context, s *session, args []string) error {
	if s.opt.name == "" {
		return usage("-name is needed: what is the model to be called?")
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := w.WriteField("name", s.opt.name); err != nil {
		return err
	}
	for _, part := range []struct{ name, file string }{
		{"file", args[0]}, {"binding", s.opt.binding}, {"schemaFrom", s.opt.schemaFrom}, {"check", s.opt.check},
	} {
		if part.file == "" {
			continue
		}
		content, err := os.ReadFile(part.file)
		if err != nil {
			return usage("%v", err)
		}
		to, err := w.CreateFormFile(part.name, filepath.Base(part.file))
		if err != nil {
			return err
		}
		if _, err := to.Write(content); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	c, token, err := s.member(ctx, "importing")
	if err != nil {
		return err
	}
	s.screen.show("importing " + filepath.Base(args[0]))
	var v struct {
		catalog.Version
		Record   struct{ Check *struct{ Rows int64 } }
		Warnings []string
	}
	doc, err := c.Do(ctx, client.Call{
		Method: http.MethodPost, Path: client.Workbench(s.ws, "models"), Bearer: token, Type: w.FormDataContentType(), Body: client.Bytes(body.Bytes()),
	}, &v)
	s.screen.clear()
	if err != nil {
		return err
	}
	if s.opt.json {
		return s.printJSON(json.RawMessage(doc))
	}
	modelText(s.env.Stdout, &v.Version)
	if v.Record.Check != nil {
		fmt.Fprintf(s.env.Stdout, "checked  %s scored as expected\n", plural(v.Record.Check.Rows, "row"))
	}
	for _, text := range v.Warnings {
		fmt.Fprintf(s.env.Stdout, "warning  %s\n", text)
	}
	return nil
}

func modelText(w io.Writer, v *catalog.Version) {
	fmt.Fprintf(w, "model    %s, version %d\ndigest   %s\n", v.Name, v.Number, v.Digest)
	if v.Format != "" {
		fmt.Fprintf(w, "format   %s, %s\n", v.Format, size(float64(v.Bytes)))
	}
	verified := "yes"
	if v.Unverified {
		verified = "no"
	}
	fmt.Fprintf(w, "verified %s\ncreated  %s\n", verified, v.Created.UTC().Format(time.RFC3339))
}

func listModels(ctx context.Context, s *session, _ []string) error {
	c, token, err := s.member(ctx, "models")
	if err != nil {
		return err
	}
	var all struct{ Models []catalog.Version }
	doc, err := c.Get(ctx, client.Workbench(s.ws, "models"), token, &all)
	if err != nil {
		return err
	}
	if s.opt.json {
		return s.printJSON(json.RawMessage(doc))
	}
	w := tabwriter.NewWriter(s.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODEL\tVERSION\tFORMAT\tVERIFIED\tCREATED\tDIGEST")
	for _, v := range all.Models {
		verified := "yes"
		if v.Unverified {
			verified = "no"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%.12s\n", v.Name, v.Number, v.Format, verified, v.Created.UTC().Format(time.RFC3339), v.Digest)
	}
	return w.Flush()
}

func getModel(ctx context.Context, s *session, args []string) error {
	if s.opt.original && s.opt.out == "" {
		return usage("-original is for -out FILE")
	}
	c, token, err := s.member(ctx, "models")
	if err != nil {
		return err
	}
	at := []string{"models", args[0], "versions", s.opt.version}
	var v catalog.Version
	doc, err := c.Get(ctx, client.Workbench(s.ws, at...), token, &v)
	if err != nil {
		return err
	}
	if s.opt.out != "" {
		kind := "file"
		if s.opt.original {
			kind = "original"
		}
		content, err := c.Get(ctx, client.Workbench(s.ws, append(at, kind)...), token, nil)
		if err != nil {
			return err
		}
		if err := writeFile(s.opt.out, func(w io.Writer) error { _, err := w.Write(content); return err }); err != nil {
			return err
		}
	}
	if s.opt.json {
		return s.printJSON(json.RawMessage(doc))
	}
	modelText(s.env.Stdout, &v)
	if s.opt.out != "" {
		fmt.Fprintf(s.env.Stdout, "file     %s\n", s.opt.out)
	}
	return nil
}
