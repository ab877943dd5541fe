package azure

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The answers under testdata have the form in which the service's documentation
// prints them; line ends are those of HTTP.
func answerOf(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n", "\r\n"))
}

func TestReadBatch(t *testing.T) {
	got, err := readBatch("id", answerOf(t, "success"), 3)
	if err != nil {
		t.Fatal(err)
	}
	want := []answer{{`W/"datetime'2026-11-23T08%3A00%3A00.1234567Z'"`}, {`W/"datetime'2026-11-23T08%3A00%3A00.7654321Z'"`}, {""}}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("answer %d is %v, want %v", i, got[i], want[i])
		}
	}
	if _, err := readBatch("id", answerOf(t, "success"), 4); err == nil {
		t.Error("three answers to four operations were taken")
	}
	for name, want := range map[string]opError{
		"failure":   {2, &statusError{status: 409, code: "EntityAlreadyExists", requestID: "id"}},
		"condition": {0, &statusError{status: 412, code: "UpdateConditionNotSatisfied", requestID: "id"}},
		"json":      {1, &statusError{status: 400, code: "CommandsInBatchActOnDifferentPartitions", requestID: "id"}},
	} {
		_, err := readBatch("id", answerOf(t, name), 3)
		e, ok := errors.AsType[*opError](err)
		if !ok || e.index != want.index || *e.err != *want.err {
			t.Errorf("%s: %v, want %v", name, err, &want)
		}
	}
}

func FuzzReadBatch(f *testing.F) {
	for _, name := range []string{"success", "failure", "condition", "json"} {
		f.Add(answerOf(f, name), 3)
	}
	f.Add([]byte("--\r\n"), 0)
	f.Add([]byte("{"), 1)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		answers, err := readBatch("id", body, n)
		if err == nil && len(answers) != n {
			t.Errorf("%d answers to %d operations", len(answers), n)
		}
		if e, ok := errors.AsType[*opError](err); ok && e.index < 0 {
			t.Errorf("index %d", e.index)
		}
	})
}
