//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/infra/samples"
	"github.com/portico-ml/portico/shared/storage"
)

// table makes rows: customers of the sample drawn at random, each number moved
// by at most 1 %, one cell in a hundred missing, and an id of their own.
type table struct {
	header  []string
	rows    [][]string
	numbers [][]float64 // by column; nil where it is text
	digits  []int       // behind the point, by column
	rnd     *rand.Rand
}

func newTable() (*table, error) {
	all, err := samples.Customers()
	if err != nil {
		return nil, err
	}
	t := &table{header: all[0], rows: all[1:], rnd: rand.New(rand.NewPCG(5, 2014))}
	t.numbers, t.digits = make([][]float64, len(t.header)), make([]int, len(t.header))
	for c := range t.header {
		numbers := make([]float64, len(t.rows))
		for r, row := range t.rows {
			if numbers[r], err = strconv.ParseFloat(row[c], 64); err != nil {
				break
			}
			if _, fraction, ok := strings.Cut(row[c], "."); ok {
				t.digits[c] = max(t.digits[c], len(fraction))
			}
		}
		if err == nil {
			t.numbers[c] = numbers
		}
	}
	return t, nil
}

// appendID appends the id of row n, which is 0 for the first.
func appendID(dst []byte, n int) []byte { return fmt.Appendf(dst, "C%09d", n+1) }

// append appends row n. Rows must be asked for in order.
func (t *table) append(dst []byte, n int) []byte {
	r := t.rnd.IntN(len(t.rows))
	dst = appendID(dst, n)
	for c := 1; c < len(t.header); c++ {
		dst = append(dst, ',')
		switch {
		case t.rnd.IntN(100) == 0:
		case t.numbers[c] == nil:
			dst = append(dst, t.rows[r][c]...)
		default:
			dst = strconv.AppendFloat(dst, t.numbers[c][r]*(1+0.01*(2*t.rnd.Float64()-1)), 'f', t.digits[c], 64)
		}
	}
	return append(dst, '\n')
}

// generate writes the table as a file for the rival and, the same bytes, as a
// blob that a job may read.
func (b *bench) generate(ctx context.Context) (link, error) {
	var err error
	if b.table, err = newTable(); err != nil {
		return link{}, err
	}
	author, err := b.token("author")
	if err != nil {
		return link{}, err
	}
	var up struct{ Read link }
	to := "/manage/workspaces/" + b.model.Workspace + "/uploads"
	if err := (client{b.hosts[0].base, author}).do(ctx, "POST", to, map[string]any{"name": "table.csv"}, &up); err != nil {
		return link{}, err
	}
	_, key, ok := strings.Cut(strings.TrimPrefix(up.Read.RelativeLocation, "/"), "/") // behind the container
	if !ok {
		return link{}, fmt.Errorf("an upload goes to %q", up.Read.RelativeLocation)
	}
	f, err := os.Create(b.path("table.csv"))
	if err != nil {
		return link{}, err
	}
	defer f.Close()
	const part = 32 << 20
	var ids []storage.PartID
	flush := func(text []byte) error {
		var id storage.PartID
		binary.BigEndian.PutUint64(id[:], uint64(len(ids)))
		ids = append(ids, id)
		b.bytes += int64(len(text))
		_, err := f.Write(text)
		return errors.Join(err, b.store.Blobs.PutPart(ctx, key, id, text))
	}
	text := append(make([]byte, 0, part+1<<16), strings.Join(b.table.header, ",")+"\n"...)
	for n := range b.rows {
		if text = b.table.append(text, n); len(text) >= part {
			if err := flush(text); err != nil {
				return link{}, err
			}
			text = text[:0]
		}
	}
	if len(text) > 0 {
		if err := flush(text); err != nil {
			return link{}, err
		}
	}
	_, err = b.store.Blobs.Commit(ctx, key, ids, nil, storage.Condition{IfAbsent: true})
	return up.Read, err
}

// check reads a job's output beside its input.
func (b *bench) check(ctx context.Context, caller client, output link) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, output.url(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", output.RelativeLocation, resp.Status)
	}
	given, err := os.Open(b.path("table.csv"))
	if err != nil {
		return err
	}
	defer given.Close()
	in, out := bufio.NewReaderSize(given, 1<<20), bufio.NewReaderSize(resp.Body, 1<<20)
	head, err := out.ReadString('\n')
	if err != nil {
		return err
	}
	if want := strings.Join(b.table.header, ",") + ","; !strings.HasPrefix(head, want) {
		return fmt.Errorf("the header is %q, want %q and the scores", head, want)
	}
	if _, err := in.ReadSlice('\n'); err != nil {
		return err
	}
	every := max(1, b.rows/max(1, b.samples))
	var asked, answered []byte // some of the rows
	var id []byte
	for n := range b.rows {
		was, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		is, err := out.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("row %d: %w", n+1, err)
		}
		if id = append(appendID(id[:0], n), ','); !bytes.HasPrefix(is, id) {
			return fmt.Errorf("row %d begins with %q, want %q", n+1, is[:min(len(is), len(id))], id)
		}
		if n%every == 0 {
			asked, answered = append(asked, was...), append(answered, is...)
		}
	}
	if _, err := out.ReadByte(); err != io.EOF {
		return fmt.Errorf("it goes on behind row %d (%v)", b.rows, err)
	}
	return b.compare(ctx, caller, asked, answered)
}

// compare asks RRS about rows that a job has answered.
func (b *bench) compare(ctx context.Context, caller client, asked, answered []byte) error {
	rows, err := csv.NewReader(bytes.NewReader(asked)).ReadAll()
	if err != nil {
		return err
	}
	want, err := csv.NewReader(bytes.NewReader(answered)).ReadAll()
	if err != nil {
		return err
	}
	type cells struct {
		ColumnNames []string
		Values      [][]*string
	}
	in := cells{ColumnNames: b.table.header}
	for _, row := range rows {
		values := make([]*string, len(row))
		for c := range row {
			if row[c] != "" {
				values[c] = &row[c]
			}
		}
		in.Values = append(in.Values, values)
	}
	var answer struct {
		Results map[string]struct{ Value cells }
	}
	path := "/workspaces/" + b.model.Workspace + "/services/" + b.model.Endpoint + "/execute?api-version=2.0&details=true"
	if err := caller.do(ctx, "POST", path, map[string]any{"Inputs": map[string]any{"input1": in}, "GlobalParameters": map[string]string{}}, &answer); err != nil {
		return err
	}
	got := answer.Results["output1"].Value.Values
	if len(got) != len(want) {
		return fmt.Errorf("RRS answers %d rows of %d", len(got), len(want))
	}
	for i := range want {
		row := make([]string, len(got[i]))
		for c, cell := range got[i] {
			if cell != nil {
				row[c] = *cell
			}
		}
		if !slices.Equal(row, want[i]) {
			return fmt.Errorf("RRS answers %q, the job wrote %q", row, want[i])
		}
	}
	return nil
}
