package http

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
)

// Feed returns the source of the OData feed at the place's URL: JSON of
// versions 2 to 4, or Atom. Further pages are followed on the same host only.
// The feed types values and no columns, so it is read whole before it gives a
// row.
func (c *Connector) Feed(p connect.Place) (connect.Source, error) {
	u, err := address(p.URL)
	if err != nil {
		return nil, err
	}
	return &feed{c, u}, nil
}

type feed struct {
	*Connector
	url *url.URL
}

const acceptFeed = "application/json;q=1, application/atom+xml;q=0.5"

// maxPages bounds a feed whose pages never end.
const maxPages = 100_000

// Open reads the feed.
func (f *feed) Open(ctx context.Context) (*connect.Records, error) {
	g := &connect.Gather{Limit: f.max}
	left := f.max
	at, read := f.url, make(map[string]bool)
	for page := 0; at != nil; page++ {
		if page == maxPages {
			return nil, fault.Module(49, "the feed of %s has more than %d pages", f.url.Host, maxPages)
		}
		if read[at.String()] {
			return nil, fault.Module(49, "the feed of %s leads in a circle: page %d is one that was read before", f.url.Host, page+1)
		}
		read[at.String()] = true
		body, err := f.get(ctx, at, acceptFeed)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(io.LimitReader(body, left+1))
		body.Close()
		if err != nil {
			return nil, err
		}
		if left -= int64(len(text)); left < 0 {
			return nil, f.tooLarge(f.url.Host)
		}
		next, err := readPage(g, text)
		if err != nil {
			return nil, fault.Module(49, "page %d of the feed of %s cannot be read: %s", page+1, f.url.Host, strings.TrimPrefix(fault.Of(err).Details()[0].Message, "Error 0049: "))
		}
		if at, err = f.follow(at, next); err != nil {
			return nil, err
		}
	}
	return g.Records()
}

// follow returns the next page's address; nil where there is none.
func (f *feed) follow(at *url.URL, next string) (*url.URL, error) {
	if next == "" {
		return nil, nil
	}
	u, err := at.Parse(next)
	if err != nil {
		return nil, fault.Module(49, "the next page of the feed of %s has no address", f.url.Host)
	}
	if u.Scheme != f.url.Scheme || u.Host != f.url.Host {
		return nil, fault.Module(78, "the feed of %s goes on at another host: a feed is read from one", f.url.Host).At("Url")
	}
	return u, nil
}

func wrong(format string, args ...any) error {
	return fault.New(fault.BadArgument, "", format, args...)
}

// readPage adds a page's records and returns the address of the next page.
func readPage(g *connect.Gather, text []byte) (next string, err error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	if bytes.HasPrefix(text, []byte("<")) {
		return readAtom(g, text)
	}
	return readJSON(g, text)
}

// envelope is a page in any version's JSON.
type envelope struct {
	Value json.RawMessage `json:"value"`           // 3 and 4
	Next  string          `json:"@odata.nextLink"` // 4
	Next3 string          `json:"odata.nextLink"`
	D     json.RawMessage `json:"d"` // 2, and 3 verbose
}

type envelope2 struct {
	Results json.RawMessage `json:"results"`
	Next    string          `json:"__next"`
}

func readJSON(g *connect.Gather, text []byte) (next string, err error) {
	var page envelope
	if err := json.Unmarshal(text, &page); err != nil {
		return "", wrong("it is not a JSON object")
	}
	rows, next := page.Value, page.Next+page.Next3
	if page.D != nil {
		rows = page.D
		var two envelope2
		if json.Unmarshal(page.D, &two) == nil && two.Results != nil {
			rows, next = two.Results, two.Next
		}
	}
	d := json.NewDecoder(bytes.NewReader(rows))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return "", wrong("it holds no list of records")
	}
	for d.More() {
		if err := readRecord(g, d); err != nil {
			return "", err
		}
	}
	return next, nil
}

// readRecord reads an object: annotations and links to other records are no
// columns.
func readRecord(g *connect.Gather, d *json.Decoder) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return wrong("a record is no object")
	}
	g.Row()
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return wrong("a record ends early")
		}
		name, _ := t.(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return wrong("a record ends early")
		}
		if strings.ContainsRune(name, '@') || strings.HasPrefix(name, "odata.") || name == "__metadata" || bytes.Contains(raw, []byte(`"__deferred"`)) {
			continue
		}
		shape, text, err := cell(raw)
		if err != nil {
			return err
		}
		if err := g.Set(name, shape, text); err != nil {
			return err
		}
	}
	_, err := d.Token()
	if err != nil {
		return wrong("a record ends early")
	}
	return nil
}

func cell(raw json.RawMessage) (connect.Shape, string, error) {
	switch raw[0] {
	case 'n':
		return 0, "", nil
	case 't', 'f':
		return connect.BoolShape, string(raw), nil
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return 0, "", wrong("a text is not JSON")
		}
		if t, ok := classicTime(s); ok {
			return connect.TimeShape, t, nil
		}
		if isTime(s) {
			return connect.TimeShape, s, nil
		}
		return connect.TextShape, s, nil
	case '{', '[':
		return connect.TextShape, string(raw), nil // a complex value, as it is written
	}
	return connect.Number(string(raw)), string(raw), nil
}

// classicTime reads /Date(1577836800000)/ of version 2, an offset of minutes
// behind it aside, which only says where the clock stood.
func classicTime(s string) (string, bool) {
	in, ok := strings.CutPrefix(s, "/Date(")
	if !ok {
		return "", false
	}
	if in, ok = strings.CutSuffix(in, ")/"); !ok {
		return "", false
	}
	if i := strings.LastIndexAny(in, "+-"); i > 0 {
		in = in[:i]
	}
	ms, err := strconv.ParseInt(in, 10, 64)
	if err != nil || ms > 253402300799999 || ms < -62135596800000 {
		return "", false
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999"), true
}

// isTime reports whether a text is a date and time, and no less.
func isTime(s string) bool {
	if len(s) < len("2006-01-02T15:04:05") || s[4] != '-' || s[10] != 'T' {
		return false
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", time.RFC3339Nano} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}

// Atom: an entry's properties, with their types on them.
const (
	nsData = "http://schemas.microsoft.com/ado/2007/08/dataservices"
	nsMeta = "http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"
)

// maxDepth bounds how deep elements are nested.
const maxDepth = 64

func readAtom(g *connect.Gather, text []byte) (next string, err error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = true
	inside, entries, depth := false, false, 0
	for {
		t, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", wrong("it is not XML")
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return "", wrong("its elements are nested more than %d deep", maxDepth)
			}
			switch {
			case t.Name.Local == "feed":
				entries = true
			case t.Name.Local == "link" && depth == 2 && attr(t, "", "rel") == "next":
				next = attr(t, "", "href")
			case t.Name.Local == "properties" && t.Name.Space == nsMeta:
				inside = true
				g.Row()
			case inside && t.Name.Space == nsData:
				if err := property(g, d, t); err != nil {
					return "", err
				}
				depth-- // it has read to its end
			}
		case xml.EndElement:
			depth--
			if t.Name.Local == "properties" && t.Name.Space == nsMeta {
				inside = false
			}
		}
	}
	if !entries {
		return "", wrong("it is XML but no Atom feed")
	}
	return next, nil
}

func attr(t xml.StartElement, space, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name && (space == "" || a.Name.Space == space) {
			return a.Value
		}
	}
	return ""
}

// property reads one value; of a complex value, the texts in it.
func property(g *connect.Gather, d *xml.Decoder, t xml.StartElement) error {
	var b strings.Builder
	for depth := 1; depth > 0; {
		in, err := d.Token()
		if err != nil {
			return wrong("it is not XML")
		}
		switch in := in.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return wrong("its elements are nested more than %d deep", maxDepth)
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			b.Write(in)
		}
	}
	text, shape := b.String(), connect.TextShape
	switch kind := attr(t, nsMeta, "type"); kind {
	case "Edm.Byte", "Edm.SByte", "Edm.Int16", "Edm.Int32", "Edm.Int64":
		shape = connect.Number(strings.TrimSpace(text))
	case "Edm.Double", "Edm.Single", "Edm.Decimal":
		shape = connect.DoubleShape
	case "Edm.Boolean":
		shape = connect.BoolShape
	case "Edm.DateTime", "Edm.DateTimeOffset":
		shape = connect.TimeShape
	}
	if attr(t, nsMeta, "null") == "true" {
		shape = 0
	}
	if shape == connect.TimeShape && !isTime(text) {
		return wrong("property %q is %s but no date and time", t.Name.Local, fmt.Sprint(attr(t, nsMeta, "type")))
	}
	return g.Set(t.Name.Local, shape, text)
}
