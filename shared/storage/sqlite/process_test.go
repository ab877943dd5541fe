package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

// The tests of this file run the test binary again, as other processes on the
// same folder.
var (
	childDir  = flag.String("child.dir", "", "run as a child process on this store")
	childWork = flag.String("child.work", "", "what the child does: count, drain or write")
	childFrom = flag.Int("child.from", 0, "number of the child's first write")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *childDir == "" {
		os.Exit(m.Run())
	}
	if err := child(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(ctx context.Context) error {
	s, err := sqlite.Open(*childDir, sqlite.Options{})
	if err != nil {
		return err
	}
	switch *childWork {
	case "count":
		err = count(ctx, s)
	case "drain":
		err = drain(ctx, s)
	case "write":
		err = write(ctx, s, *childFrom)
	}
	if err != nil {
		return err
	}
	return s.Close()
}

func command(t *testing.T, dir, work string, from int) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-child.dir="+dir, "-child.work="+work, "-child.from="+strconv.Itoa(from))
	cmd.Stderr = os.Stderr
	return cmd
}

const processes, perProcess = 4, 40

// count adds one to a row, perProcess times, against the others.
func count(ctx context.Context, s *sqlite.Store) error {
	for range perProcess {
		for {
			e, err := s.Tables.Get(ctx, "counts", "p", "row")
			op := storage.Op{Kind: storage.Replace, Row: "row", IfMatch: e.ETag, Props: storage.Props{"N": e.Props.Int("N") + 1}}
			if fault.Is(err, fault.NotFound) {
				op = storage.Op{Kind: storage.Insert, Row: "row", Props: storage.Props{"N": int64(1)}}
			} else if err != nil {
				return err
			}
			_, err = s.Tables.Apply(ctx, "counts", "p", op)
			if err == nil {
				break
			}
			if !fault.Is(err, fault.Conflict) {
				return err
			}
		}
	}
	return nil
}

// drain receives and deletes messages until there are none, printing each.
func drain(ctx context.Context, s *sqlite.Store) error {
	for {
		ms, err := s.Queues.Receive(ctx, "work", 3, time.Minute)
		if err != nil || len(ms) == 0 {
			return err
		}
		for _, m := range ms {
			if err := s.Queues.Delete(ctx, "work", m); err != nil {
				return err
			}
			fmt.Println(string(m.Body))
		}
	}
}

// Several processes find no database, make it, and count without losing one.
func TestProcessesCount(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range processes {
		cmd := command(t, dir, "count", 0)
		wg.Go(func() {
			if err := cmd.Run(); err != nil {
				t.Errorf("child: %v", err)
			}
		})
	}
	wg.Wait()
	s := open(t, dir, sqlite.Options{})
	e, err := s.Tables.Get(t.Context(), "counts", "p", "row")
	if err != nil || e.Props.Int("N") != processes*perProcess {
		t.Errorf("counted to %d, %v; want %d", e.Props.Int("N"), err, processes*perProcess)
	}
}

func TestProcessesShareAQueue(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, sqlite.Options{})
	const n = 150
	for i := range n {
		if err := s.Queues.Send(t.Context(), "work", fmt.Append(nil, i), 0); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	seen := make(map[string]int)
	var wg sync.WaitGroup
	for range processes {
		cmd := command(t, dir, "drain", 0)
		wg.Go(func() {
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("child: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for line := range strings.FieldsSeq(string(out)) {
				seen[line]++
			}
		})
	}
	wg.Wait()
	for i := range n {
		if seen[strconv.Itoa(i)] != 1 {
			t.Errorf("message %d came %d times", i, seen[strconv.Itoa(i)])
		}
	}
}

// body is the content of a blob with number i: its length and bytes follow
// from i, so that a half or mixed one shows.
func body(i int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d;", i), 1+i*37%400)
}

// write does writes of every kind until it is killed, and prints each that
// returned: "kind number".
func write(ctx context.Context, s *sqlite.Store, from int) error {
	kinds := map[string]func(i int) error{
		"put": func(i int) error {
			_, err := s.Blobs.Put(ctx, fmt.Sprintf("w/put/%06d", i), body(i), nil, storage.Condition{IfAbsent: true})
			return err
		},
		"over": func(i int) error {
			_, err := s.Blobs.Put(ctx, "w/over", body(i), nil, storage.Condition{})
			return err
		},
		"commit": func(i int) error {
			key := fmt.Sprintf("w/commit/%06d", i)
			ids := []storage.PartID{{1}, {2}}
			for k, id := range ids {
				if err := s.Blobs.PutPart(ctx, key, id, body(i+k)); err != nil {
					return err
				}
			}
			_, err := s.Blobs.Commit(ctx, key, ids, nil, storage.Condition{IfAbsent: true})
			return err
		},
		"apply": func(i int) error {
			_, err := s.Tables.Apply(ctx, "rows", "p",
				storage.Op{Row: fmt.Sprintf("a.%06d", i)}, storage.Op{Row: fmt.Sprintf("b.%06d", i)},
				storage.Op{Kind: storage.Upsert, Row: "last", Props: storage.Props{"I": int64(i)}})
			return err
		},
		"send": func(i int) error { return s.Queues.Send(ctx, "sent", fmt.Append(nil, i), 0) },
	}
	errs := make(chan error)
	for kind, do := range kinds {
		go func() {
			for i := from; ; i++ {
				if err := do(i); err != nil {
					errs <- fmt.Errorf("%s %d: %w", kind, i, err)
					return
				}
				// One write call: a line is printed whole or not at all.
				fmt.Printf("%s %d\n", kind, i)
			}
		}()
	}
	return <-errs
}

// A process that writes is killed, again and again: what it had been told is
// done is there, and nothing is there by half.
func TestKill(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	dir := t.TempDir()
	acked := map[string]int{"put": -1, "over": -1, "commit": -1, "apply": -1, "send": -1}
	type key struct {
		kind string
		i    int
	}
	done := make(map[key]bool)
	for round := range rounds {
		from := round * 10_000
		cmd := command(t, dir, "write", from)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		killed := false
		for lines.Scan() {
			kind, number, _ := strings.Cut(lines.Text(), " ")
			i, err := strconv.Atoi(number)
			if err != nil {
				t.Fatalf("line %q", lines.Text())
			}
			done[key{kind, i}] = true
			acked[kind] = i
			if !killed {
				killed = true
				time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
			}
		}
		_ = cmd.Wait() // killed

		s := open(t, dir, sqlite.Options{})
		if _, _, err := s.Audit(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		found := survey(t, s)
		for k := range done {
			if k.kind != "over" && !found[k.kind][k.i] {
				t.Errorf("round %d: %s %d was done and is lost", round, k.kind, k.i)
			}
		}
		if over := survivingOver(t, s); over < acked["over"] {
			t.Errorf("round %d: w/over is version %d, %d was done", round, over, acked["over"])
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d writes were done before the kills", len(done))
	if len(done) < rounds {
		t.Errorf("only %d writes were done in %d rounds", len(done), rounds)
	}

	// What the killed left behind is swept, and nothing else.
	s := open(t, dir, sqlite.Options{Grace: time.Nanosecond})
	before := survey(t, s)
	sweep(t, s)
	named, files, err := s.Audit()
	if err != nil || named != files {
		t.Errorf("after a sweep %d files are named and %d are there, %v", named, files, err)
	}
	for kind, numbers := range survey(t, s) {
		if len(numbers) != len(before[kind]) {
			t.Errorf("the sweep took %s", kind)
		}
	}
}

func read(t *testing.T, s *sqlite.Store, key string) []byte {
	t.Helper()
	_, r, err := s.Blobs.Get(t.Context(), key, storage.ReadOptions{})
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return b
}

// survey finds the writes that are there and checks that each is whole.
func survey(t *testing.T, s *sqlite.Store) map[string]map[int]bool {
	t.Helper()
	found := map[string]map[int]bool{"put": {}, "commit": {}, "apply": {}, "send": {}}
	for kind, want := range map[string]func(i int) []byte{
		"put":    body,
		"commit": func(i int) []byte { return append(body(i), body(i+1)...) },
	} {
		for info, err := range s.Blobs.List(t.Context(), "w/"+kind+"/") {
			if err != nil {
				t.Fatal(err)
			}
			i, _ := strconv.Atoi(info.Key[len(info.Key)-6:])
			if !bytes.Equal(read(t, s, info.Key), want(i)) {
				t.Errorf("%s has other bytes than were written", info.Key)
			}
			found[kind][i] = true
		}
	}
	rows := make(map[int]int)
	last := int64(-1)
	for e, err := range s.Tables.Query(t.Context(), "rows", "p", storage.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Row == "last" {
			last = e.Props.Int("I")
			continue
		}
		i, _ := strconv.Atoi(e.Row[2:])
		rows[i]++
		found["apply"][i] = true
	}
	for i, n := range rows {
		if n != 2 {
			t.Errorf("apply %d is there by half", i)
		}
		if int64(i) > last {
			t.Errorf("apply %d is there but its third row is of %d", i, last)
		}
	}
	for {
		ms, err := s.Queues.Receive(t.Context(), "sent", 32, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(ms) == 0 {
			break
		}
		for _, m := range ms {
			i, err := strconv.Atoi(string(m.Body))
			if err != nil {
				t.Errorf("message %q", m.Body)
			}
			found["send"][i] = true
		}
	}
	if err := s.Exec(`UPDATE message SET visible = 0`); err != nil {
		t.Fatal(err)
	}
	return found
}

func survivingOver(t *testing.T, s *sqlite.Store) int {
	t.Helper()
	if _, err := s.Blobs.Head(t.Context(), "w/over"); fault.Is(err, fault.NotFound) {
		return -1
	}
	b := read(t, s, "w/over")
	number, _, _ := strings.Cut(string(b), ";")
	i, err := strconv.Atoi(number)
	if err != nil || !bytes.Equal(b, body(i)) {
		t.Errorf("w/over holds bytes of no version: %.40q", b)
	}
	return i
}
