package main

import (
	"bytes"
	"os"
	"testing"
)

// TestFiles: the assembly that is built is what this program writes.
func TestFiles(t *testing.T) {
	for name := range files {
		have, err := os.ReadFile("../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, assembly(name)) {
			t.Errorf("%s is not what gen writes: run `go generate` in shared/model/trees", name)
		}
	}
}
