//go:build linux

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/storage"
)

// Pieces of a job's work: a block has the rows that a session scores without
// copying them.
const (
	chunkBytes = 8 << 20
	blockBytes = 92 << 10
)

// stages does the work of a few chunks on one thread, stage by stage, and
// prints what each costs the processor.
func (b *bench) stages(ctx context.Context, whole measured) error {
	master, err := os.ReadFile(b.path("data", "keys", "master"))
	if err != nil {
		return err
	}
	name, text, _ := strings.Cut(strings.TrimSpace(string(master)), ":")
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	ring, err := auth.NewRing("the master key", auth.MasterKey{Name: name, Key: key})
	if err != nil {
		return err
	}
	reg := registry.New(&b.store.Store, ring, registry.Options{Log: slog.New(slog.DiscardHandler)})
	d, release, err := reg.Deployment(ctx, b.model.Workspace, b.model.Digest)
	if err != nil {
		return err
	}
	defer release()

	f, err := os.Open(b.path("table.csv"))
	if err != nil {
		return err
	}
	defer f.Close()
	data := make([]byte, min(b.bytes, 8*chunkBytes))
	if _, err := f.ReadAt(data, 0); err != nil {
		return err
	}
	h, err := (frame.CSV{Workers: 1}).Header(data, d.Input(0))
	if err != nil {
		return err
	}
	sess := d.Session()
	if err := sess.SetParameters(nil); err != nil {
		return err
	}
	if b.profile != "" {
		to, err := os.Create(b.profile)
		if err != nil {
			return err
		}
		defer to.Close()
		if err := pprof.StartCPUProfile(to); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var split, parse, score, print, write time.Duration
	rows := 0
	var out []byte
	flush := func(n int) error {
		defer timed(&write)()
		return b.store.Blobs.PutPart(ctx, "bench", storage.PartID{byte(n)}, out)
	}
	plan := frame.NewCSVScanner(',', frame.ScanState{})
	for part, rest := 1, data[h.Size:]; len(rest) > 0; part++ {
		stop := timed(&split)
		n, whole := plan.Advance(rest, plan.State.Offset+chunkBytes)
		stop()
		if !whole {
			break // the last record is cut off
		}
		scan := frame.NewCSVScanner(',', frame.ScanState{})
		out = out[:0]
		for chunk := rest[:n]; len(chunk) > 0; {
			at := scan.State
			stop = timed(&split)
			k, _ := scan.Advance(chunk, at.Offset+blockBytes)
			stop()
			sess.Reset()
			stop = timed(&parse)
			counts, err := h.Append(sess.Inputs[0], chunk[:k], frame.Start{Record: at.Records + 1, Line: at.Lines + 1})
			stop()
			if err != nil {
				return err
			}
			stop = timed(&score)
			scored, err := sess.Score(ctx)
			stop()
			if err != nil {
				return err
			}
			stop = timed(&print)
			out = frame.AppendCSVRows(out, scored[0], 0, scored[0].Rows(), ',')
			stop()
			rows += int(counts.Records)
			chunk = chunk[k:]
		}
		rest = rest[n:]
		if err := flush(part); err != nil {
			return err
		}
	}
	if rows == 0 {
		return fmt.Errorf("the table has no chunk of %d MiB: give it more -rows", chunkBytes>>20)
	}
	per := func(d time.Duration) float64 { return us(d) / float64(rows) }
	all := split + parse + score + print + write
	fmt.Fprintf(b.out, "\nprocessor, µs a row, on one thread over %d rows\n", rows)
	for _, s := range []struct {
		name string
		took time.Duration
	}{{"split", split}, {"parse", parse}, {"score", score}, {"print", print}, {"write", write}, {"all", all}} {
		fmt.Fprintf(b.out, "  %-8s %6.3f\n", s.name, per(s.took))
	}
	fmt.Fprintf(b.out, "  %-8s %6.3f   of the job: reading the input, storage, messages, garbage\n", "beside", us(whole.cpu)/float64(b.rows)-per(all))
	return nil
}

// timed returns what adds the processor time of this thread since to sum.
func timed(sum *time.Duration) (stop func()) {
	began := threadTime()
	return func() { *sum += threadTime() - began }
}

func threadTime() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
