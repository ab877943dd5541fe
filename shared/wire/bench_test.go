package wire

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

// wide is a service of n numeric and four categorical columns.
func wide(n int) service.Port {
	p := service.Port{Name: "input1"}
	for i := range n {
		p.Schema = append(p.Schema, frame.Field{Name: fmt.Sprintf("total_number_%d", i), Type: frame.Double})
	}
	for i := range 4 {
		p.Schema = append(p.Schema, frame.Field{Name: fmt.Sprintf("kind_%d", i), Type: frame.String, Levels: []string{"no", "yes", "area_code_415"}})
	}
	return p
}

func wideBody(p service.Port, rows int) []byte {
	var names, cells []string
	for i, f := range p.Schema {
		names = append(names, `"`+f.Name+`"`)
		if f.Type == frame.Double {
			cells = append(cells, fmt.Sprintf(`"%d.%d"`, 100+7*i, i))
		} else {
			cells = append(cells, `"yes"`)
		}
	}
	values := strings.Repeat(",["+strings.Join(cells, ",")+"]", rows)[1:]
	return []byte(`{"Inputs":{"input1":{"ColumnNames":[` + strings.Join(names, ",") + `],"Values":[` + values + `]}},"GlobalParameters":{}}`)
}

func BenchmarkExecute(b *testing.B) {
	port := wide(15)
	p := NewPorts(&service.Manifest{Inputs: []service.Port{port}, Outputs: []service.Port{port}})
	for _, rows := range []int{1, 1000} {
		body := wideBody(port, rows)
		fs := newFrames(b, port)
		b.Run(fmt.Sprintf("decode/rows=%d", rows), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			var d Decoder
			for b.Loop() {
				fs[0].Reset()
				if err := d.Execute(p, body, fs); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("decode/encoding-json/rows=%d", rows), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				var req struct {
					Inputs map[string]struct {
						ColumnNames []string
						Values      [][]any
					}
				}
				if err := json.Unmarshal(body, &req); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("answer/rows=%d", rows), func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = p.AppendAnswer(dst[:0], fs, Table, true)
			}
			b.SetBytes(int64(len(dst)))
		})
	}
}
