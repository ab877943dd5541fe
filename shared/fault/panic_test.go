package fault_test

import (
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
)

func recovered(f func()) (err *fault.Error) {
	defer func() {
		if v := recover(); v != nil {
			err = fault.Panicked(v)
		}
	}()
	f()
	return nil
}

type cell struct{ value string }

func TestPanicked(t *testing.T) {
	var none []int
	tests := []struct {
		name      string
		do        func()
		want, not string
	}{
		{"of the runtime", func() { _ = none[len(t.Name())] }, "index out of range", ""},
		{"with a text", func() { panic("income 4711") }, "panic: string", "4711"},
		{"with a value", func() { panic(cell{"4711"}) }, "panic: fault_test.cell", "4711"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := recovered(tt.do)
			if err == nil || err.Kind != fault.Internal {
				t.Fatal(err)
			}
			text := err.Error()
			if !strings.Contains(text, tt.want) || !strings.Contains(text, "TestPanicked") {
				t.Errorf("%q does not say what or where", text)
			}
			if tt.not != "" && strings.Contains(text, tt.not) {
				t.Errorf("%q shows the value", text)
			}
		})
	}
	if err := recovered(func() {}); err != nil {
		t.Error(err)
	}
}
