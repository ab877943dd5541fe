package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/client"
)

// checkOut refuses a place for the results that cannot be, before there are
// any: a job may take hours.
func (s *session) checkOut() error {
	if s.opt.json && s.opt.out == "-" {
		return usage("-json and -out - cannot both have the standard output")
	}
	if s.opt.out == "" || s.opt.out == "-" || strings.HasSuffix(s.opt.out, "/") {
		return nil // folders are made
	}
	in := filepath.Dir(s.opt.out)
	if info, err := os.Stat(in); err != nil || !info.IsDir() {
		return usage("-out %s: there is no folder %s", s.opt.out, in)
	}
	return nil
}

// fetch saves what a finished job gave: its results, and the file of its bad
// rows.
func (s *session) fetch(ctx context.Context, c *client.Client, r *jobReport) error {
	results := r.state.Results
	out := s.opt.out
	if out == "-" {
		if len(results) != 1 {
			return usage("the job gave %d results: save them in a folder by -out FOLDER/", len(results))
		}
		for _, ref := range results {
			w := bufio.NewWriterSize(s.env.Stdout, 256<<10)
			if err := c.Download(ctx, addressOf(ref), w, nil); err != nil {
				return err
			}
			if err := w.Flush(); err != nil {
				return err
			}
		}
		if r.state.ErrorFile != nil {
			s.note("%s bad: their file is fetched by portico job watch -out FILE %s", plural(r.state.Progress.BadRows, "row"), r.Address)
		}
		return nil
	}
	info, err := os.Stat(out)
	folder := err == nil && info.IsDir() || strings.HasSuffix(out, "/") || len(results) != 1
	if folder {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
	}
	errorFile := strings.TrimSuffix(out, fileExt(out)) + ".errors.csv"
	if folder {
		errorFile = filepath.Join(out, "errors.csv")
	}
	for _, name := range slices.Sorted(maps.Keys(results)) {
		to := out
		if folder {
			to = filepath.Join(out, fileName(strings.ReplaceAll(name, "/", "_"))+fileExt(path.Base(results[name].RelativeLocation)))
		}
		if err := s.save(ctx, c, addressOf(results[name]), to); err != nil {
			return err
		}
		r.Files = append(r.Files, to)
	}
	if r.state.ErrorFile != nil {
		if err := s.save(ctx, c, addressOf(*r.state.ErrorFile), errorFile); err != nil {
			return err
		}
		r.Files = append(r.Files, errorFile)
	}
	return nil
}

func addressOf(r batch.Reference) string {
	path := url.URL{Path: strings.TrimPrefix(r.RelativeLocation, "/")} // a name may have anything in it
	a := strings.TrimSuffix(r.BaseLocation, "/") + "/" + path.EscapedPath()
	if r.SasBlobToken != nil {
		a += *r.SasBlobToken
	}
	return a
}

// save downloads a file: it is there whole, or not at all.
func (s *session) save(ctx context.Context, c *client.Client, address, to string) error {
	var m meter
	m.see(0, time.Now())
	return writeFile(to, func(w io.Writer) error {
		defer s.screen.clear()
		return c.Download(ctx, address, w, func(n, of int64) {
			m.see(float64(n), time.Now())
			s.screen.show(filesLine("fetching "+filepath.Base(to), &m, float64(of)))
		})
	})
}

// writeFile makes a file of what write writes, if it succeeds.
func writeFile(to string, write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = write(tmp)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), to)
}
