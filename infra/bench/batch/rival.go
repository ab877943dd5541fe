//go:build linux

package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/portico-ml/portico/infra/samples"
)

//go:embed rival.py
var rivalScript []byte

// rival does the same with pandas and XGBoost.
func (b *bench) rival(ctx context.Context, ours measured) error {
	for name, content := range map[string][]byte{"rival.py": rivalScript, "train.csv": samples.Training()} {
		if err := os.WriteFile(b.path(name), content, 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, b.python, b.path("rival.py"), b.path("train.csv"), b.path("table.csv"), b.path("scored.csv"), strconv.Itoa(b.cores))
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("rival.py: %w", err)
	}
	var r struct {
		Version                          string
		Rows                             int
		Read, Score, Write, All, CPU, MB float64
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return err
	}
	if r.Rows != b.rows {
		return fmt.Errorf("rival.py scored %d rows of %d", r.Rows, b.rows)
	}
	rows := float64(b.rows)
	fmt.Fprintf(b.out, "\n%s\n", r.Version)
	fmt.Fprintf(b.out, "  read %.1f s, score %.1f s, write %.1f s: %.0f rows/s, %.2f µs of processor a row, at most %.0f MB\n", r.Read, r.Score, r.Write, rows/r.All, r.CPU*1e6/rows, r.MB)
	fmt.Fprintf(b.out, "  ours is %.1f × as fast (bar: 5) on %.1f × less processor time\n", r.All/ours.took.Seconds(), r.CPU/ours.cpu.Seconds())
	return nil
}
