package e2e

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSameText scores customers of all 51 states alone, among a thousand, in a
// batch, and as the last of a chunk: the texts are the same. They are
// XGBoost's scores.
func TestSameText(t *testing.T) {
	const chunk = 64 << 10
	s := newSite(t, fmt.Sprintf("PORTICO_CHUNK_BYTES=%d", chunk))

	// The batch answers all of May; what it says of a row is the text that
	// every other way has to give.
	may := strings.TrimSpace(string(sampleFile(t, "customers_may.csv"))) + "\n"
	st := s.job("churn", `{"Input":`+encode(s.upload("may.csv", may))+`}`)
	if st.Progress.Chunks < 3 {
		t.Errorf("May was one of %d chunks of %d bytes", st.Progress.Chunks, chunk)
	}
	batch := records(t, s.result(st))
	if len(batch) != len(s.may) {
		t.Fatalf("%d rows of %d", len(batch), len(s.may))
	}
	s.equalToXGBoost(t, batch)

	// A thousand at once.
	status, answer := s.call("POST", s.at("churn", "execute"), s.key("churn"), table(s.columns, s.may[:1000]...))
	if status != http.StatusOK {
		t.Fatalf("%d %.300s", status, answer)
	}
	for i, row := range values(t, answer) {
		if !slices.Equal(row, batch[i]) {
			t.Fatalf("row %d among a thousand is %v, in the batch %v", i, row, batch[i])
		}
	}

	// Alone, two customers of every state.
	chosen := s.ofEveryState(t, 2)
	for _, i := range chosen {
		status, answer := s.call("POST", s.at("churn", "execute"), s.key("churn"), table(s.columns, s.may[i]))
		if status != http.StatusOK {
			t.Fatalf("row %d: %d %s", i, status, answer)
		}
		if row := values(t, answer)[0]; !slices.Equal(row, batch[i]) {
			t.Fatalf("row %d alone is %v, in the batch %v", i, row, batch[i])
		}
	}

	// As the last of a chunk: a column that the service ignores makes records
	// long, so that two fill a chunk; once with a first row of its own, once
	// without, each row ends one.
	pad := strings.Repeat("x", chunk/2)
	for _, first := range []bool{false, true} {
		rows := chosen
		if first {
			rows = append([]int{0}, chosen...)
		}
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.Write(append(slices.Clone(s.columns), "padding")) //nolint:errcheck // to memory
		for _, i := range rows {
			w.Write(append(slices.Clone(s.may[i]), pad)) //nolint:errcheck // to memory
		}
		w.Flush()
		st := s.job("churn", `{"Input":`+encode(s.upload("padded.csv", b.String()))+`}`)
		if want := (len(rows) + 1) / 2; st.Progress.Chunks != want {
			t.Errorf("%d chunks, want %d of two rows", st.Progress.Chunks, want)
		}
		for k, row := range records(t, s.result(st)) {
			if i := rows[k]; !slices.Equal(row, batch[i]) {
				t.Fatalf("row %d in a chunk of two is %v, in the batch %v", i, row, batch[i])
			}
		}
	}
}

// records reads a result without its header.
func records(t *testing.T, content string) [][]string {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(content)).ReadAll()
	if err != nil || len(all) == 0 {
		t.Fatalf("%v in %.300s", err, content)
	}
	return all[1:]
}

// ofEveryState returns n rows of May of each of the 51 states, where it has
// them.
func (s *site) ofEveryState(t *testing.T, n int) []int {
	t.Helper()
	state, count := slices.Index(s.columns, "state"), map[string]int{}
	var out []int
	for i, row := range s.may {
		if count[row[state]] < n {
			out = append(out, i)
			count[row[state]]++
		}
	}
	if len(count) != 51 {
		t.Fatalf("%d states", len(count))
	}
	return out
}

// equalToXGBoost compares scores of all of May with those that XGBoost gave:
// rows 3,334 to 5,000 of the check.
func (s *site) equalToXGBoost(t *testing.T, scored [][]string) {
	t.Helper()
	expected := records(t, string(sampleFile(t, "churn_onehot.expected.csv")))[3333:5000]
	for i, row := range scored {
		label, score := row[len(row)-2], row[len(row)-1]
		want := expected[i][len(expected[i])-2:]
		got, err := strconv.ParseFloat(score, 64)
		if err != nil {
			t.Fatal(err)
		}
		y, err := strconv.ParseFloat(want[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if label != want[0] || math.Abs(got-y) > 1e-6*max(1, math.Abs(y)) {
			t.Fatalf("%s is %s %s, XGBoost says %v", row[0], label, score, want)
		}
	}
}
