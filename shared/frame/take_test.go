package frame_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/frame"
)

func TestTake(t *testing.T) {
	schema := frame.Schema{
		{Name: "d", Type: frame.Double},
		{Name: "i", Type: frame.Int32},
		{Name: "b", Type: frame.Boolean},
		{Name: "s", Type: frame.String},
		{Name: "c", Type: frame.String, Levels: []string{"x", "y"}},
		{Name: "t", Type: frame.DateTime},
	}
	l, err := frame.NewLayout(schema)
	if err != nil {
		t.Fatal(err)
	}
	const full = "d,i,b,s,c,t\n1.5,1,true,p,x,2024-01-01T00:00:00\n2.5,2,false,,y,2024-01-02T00:00:00\n3.5,3,true,r,x,2024-01-03T00:00:00\n"
	const holes = "d,i,b,s,c,t\n1.5,1,true,p,x,2024-01-01T00:00:00\n,,,,,\n3.5,3,true,r,z,2024-01-03T00:00:00\n"
	for _, c := range []struct {
		csv  string
		rows []int
		want string
	}{
		{full, []int{2, 0, 2}, "3.5,3,True,r,x,2024-01-03T00:00:00\n1.5,1,True,p,x,2024-01-01T00:00:00\n3.5,3,True,r,x,2024-01-03T00:00:00\n"},
		{full, []int{1, -1}, "2.5,2,False,,y,2024-01-02T00:00:00\n,,,,,\n"},
		{holes, []int{1, 2}, ",,,,,\n3.5,3,True,r,z,2024-01-03T00:00:00\n"},
		{full, nil, ""},
	} {
		f, err := frame.CSV{}.Read([]byte(c.csv), l)
		if err != nil {
			t.Fatal(err)
		}
		got := f.Take(c.rows)
		if err := got.Check(); err != nil {
			t.Fatal(err)
		}
		if text := string(frame.AppendCSVRows(nil, got, 0, len(c.rows), ',')); text != c.want {
			t.Errorf("rows %v are\n%s, want\n%s", c.rows, text, c.want)
		}
		if len(got.Cols) != len(schema) || got.Rows() != len(c.rows) {
			t.Errorf("rows %v give %d columns, %d rows", c.rows, len(got.Cols), got.Rows())
		}
	}
}
