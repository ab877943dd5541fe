package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/client"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/service"
)

func newKey() string { return service.NewID() }

// reference is a blob as a submit body has it.
type reference struct {
	BaseLocation     string `json:"BaseLocation"`
	RelativeLocation string `json:"RelativeLocation"`
	SasBlobToken     string `json:"SasBlobToken,omitempty"`
}

// input is an input of a job: a document that says where it is, or a file of
// this machine.
type input struct {
	name string // "" = the only one
	doc  any
	file string
}

// where reads what says where records are: an address, or @file.
func where(text string) (doc any, ok bool, err error) {
	if file, at := strings.CutPrefix(text, "@"); at {
		var raw json.RawMessage
		err := readJSON(file, &raw)
		return raw, true, err
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, false, nil
	}
	r := reference{BaseLocation: u.Scheme + "://" + u.Host + "/", RelativeLocation: strings.TrimPrefix(u.Path, "/")}
	if u.RawQuery != "" {
		r.SasBlobToken = "?" + u.RawQuery
	}
	return r, true, nil
}

// jobInputs reads the arguments that name inputs.
func (s *session) jobInputs(args []string) ([]input, error) {
	named := s.opt.inputs
	if len(args) > 0 {
		if len(named) > 0 {
			return nil, usage("give the input as FILE, or inputs by -input, not both")
		}
		named = assignments{{"", args[0]}}
	}
	var in []input
	for _, a := range named {
		doc, ok, err := where(a.value)
		if err != nil {
			return nil, err
		}
		i := input{name: a.name, doc: doc}
		if !ok {
			i.file = a.value
			if i.file == "-" {
				return nil, usage("a job reads a file and not the standard input, which cannot be sent again: save it first")
			}
			info, err := os.Stat(i.file)
			if err != nil {
				return nil, usage("%v", err)
			}
			if !info.Mode().IsRegular() {
				return nil, usage("%s is no file", i.file)
			}
		}
		in = append(in, i)
	}
	return in, nil
}

// jobOptions begins a submit body.
func (s *session) jobOptions() (map[string]any, error) {
	p, err := s.globalParameters()
	if err != nil {
		return nil, err
	}
	o := map[string]any{}
	if s.opt.rowErrors != "" {
		o["RowErrors"] = s.opt.rowErrors
	}
	if s.opt.extraColumns != "" {
		o["ExtraColumns"] = s.opt.extraColumns
	}
	if s.opt.maxBadRows >= 0 {
		o["MaxBadRows"] = s.opt.maxBadRows
	}
	if s.opt.maxBadPercent >= 0 {
		o["MaxBadPercent"] = s.opt.maxBadPercent
	}
	body := map[string]any{"GlobalParameters": p}
	if len(o) > 0 {
		body["Options"] = o
	}
	return body, nil
}

// kept is an output that the server keeps, in a format other than csv.
type kept struct{ Format string }

// jobOutputs adds where outputs go, and in which format: that of the one result
// is told by the file that it is saved in.
func (s *session) jobOutputs(body map[string]any) error {
	outputs := map[string]any{}
	if ext := fileExt(s.opt.out); len(s.opt.outputs) == 0 && ext != ".csv" {
		if f, _ := format.OfFile(ext); f != nil {
			body["Output"] = kept{ext[1:]}
			return nil
		}
	}
	for _, a := range s.opt.outputs {
		if f, _ := format.OfFile(a.value); f != nil && a.value[0] == '.' {
			outputs[a.name] = kept{a.value[1:]}
			continue
		}
		doc, ok, err := where(a.value)
		if err != nil {
			return err
		}
		if !ok {
			return usage("-output %s: it is neither an address nor @place.json; with -out results are saved on this machine", a.name)
		}
		outputs[a.name] = doc
	}
	if len(outputs) > 0 {
		body["Outputs"] = outputs
	}
	return nil
}

// fileExt is the extension of a file, with that of its format where it is
// compressed: .csv.gz.
func fileExt(name string) string {
	ext := filepath.Ext(name)
	if _, packed := format.OfFile(name); packed != format.None {
		ext = filepath.Ext(strings.TrimSuffix(name, ext)) + ext
	}
	return ext
}

// place brings the inputs to where the server can read them, and adds them to
// a submit body.
func (s *session) place(ctx context.Context, t *target, in []input, body map[string]any) error {
	inputs := map[string]any{}
	for _, i := range in {
		doc := i.doc
		if i.file != "" {
			var err error
			if doc, err = s.bring(ctx, t, i.file); err != nil {
				return err
			}
		}
		if i.name == "" {
			body["Input"] = doc
			return nil
		}
		inputs[i.name] = doc
	}
	body["Inputs"] = inputs
	return nil
}

// maxInline bounds the files that are sent within a submission: above it they
// have to be uploaded, which needs a token.
const maxInline = 8 << 20

// bring makes an input of a file of this machine.
func (s *session) bring(ctx context.Context, t *target, file string) (any, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, usage("%v", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if s.set.Token == "" {
		comma, ok := separators[strings.ToLower(filepath.Ext(file))]
		if !ok || info.Size() > maxInline {
			return nil, usage("uploading %s needs a token: set PORTICO_TOKEN, or give -token-file (with a key alone a csv or tsv file of up to %s can be sent)", file, size(maxInline))
		}
		return inline(f, comma)
	}
	id := ""
	if s.opt.idempotencyKey != "" {
		// The place of the same content is the same, and so is the job.
		if id, err = digest(ctx, f); err != nil {
			return nil, err
		}
	}
	return s.upload(ctx, t, f, info.Size(), fileName(file), id)
}

// upload writes a file to the workspace's uploads, unless it is there.
func (s *session) upload(ctx context.Context, t *target, f *os.File, length int64, name, id string) (reference, error) {
	var place struct {
		Write, Read struct {
			URL, BaseLocation, RelativeLocation, SasBlobToken string
		}
	}
	ask := map[string]string{"name": name}
	if id != "" {
		ask["id"] = id
	}
	_, err := t.Do(ctx, client.Call{Method: http.MethodPost, Path: client.Manage(t.ws, "uploads"), Bearer: s.set.Token, Body: client.JSON(ask), Again: true}, &place)
	if err != nil {
		return reference{}, err
	}
	r := reference{place.Read.BaseLocation, place.Read.RelativeLocation, place.Read.SasBlobToken}
	if id != "" {
		if there, ok, err := t.Size(ctx, place.Read.URL); err != nil || ok && there == length {
			return r, err
		}
	}
	var m meter
	m.see(0, time.Now())
	err = t.Upload(ctx, place.Write.URL, f, length, func(n int64) {
		m.see(float64(n), time.Now())
		s.screen.show(filesLine("uploading "+name, &m, float64(length)))
	})
	s.screen.clear()
	return r, err
}

// filesLine is a file on its way, in one line.
func filesLine(what string, m *meter, of float64) string {
	total, speed := "", ""
	if of > 0 {
		total = " of " + size(of)
	}
	if r := m.rate(); r > 0 {
		speed = size(r) + "/s"
	}
	return what + " " + bar(m.value, of, size(m.value)+total, speed, m.left(of))
}

// digest names a content: 32 hex digits of its SHA-256.
func digest(ctx context.Context, f *os.File) (string, error) {
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := f.ReadAt(buf, at)
		h.Write(buf[:n])
		at += int64(n)
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)[:16]), nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return "", err
		}
	}
}

// fileName is the name of a file as uploads may be called: letters, digits,
// dots, dashes and underscores.
func fileName(file string) string {
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			return c
		}
		return '_'
	}, filepath.Base(file))
	if len(name) > 128 {
		name = name[len(name)-128:] // the extension is what counts
	}
	name = strings.Trim(name, ".")
	if name == "" {
		return "data"
	}
	return name
}
