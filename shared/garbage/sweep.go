package garbage

import (
	"context"
	"log/slog"
	"strings"
)

// parts are what a workspace's garbage is collected by: the first digit of a
// digest or an id.
const parts = "0123456789abcdef"

// Sweep makes of c the steps of a round through all workspaces: each collects
// one part of one. next returns the id of the workspace behind another one, ""
// behind the last. A cursor is {workspace}.{part}.
func Sweep(kind string, c Collector, next func(ctx context.Context, after string) (string, error), log *slog.Logger) func(ctx context.Context, cursor string) (string, error) {
	return func(ctx context.Context, cursor string) (string, error) {
		ws, part, _ := strings.Cut(cursor, ".")
		i := strings.Index(parts, part)
		if ws == "" || len(part) != 1 || i < 0 {
			var err error
			if ws, err = next(ctx, ""); ws == "" || err != nil {
				return "", err
			}
			i = 0
		}
		n, bytes := 0, int64(0)
		err := c(ctx, ws, parts[i:i+1], false, func(it Item) { n++; bytes += it.Bytes })
		if n > 0 {
			log.InfoContext(ctx, "garbage collected", "kind", kind, "workspace", ws, "count", n, "bytes", bytes)
		}
		switch {
		case ctx.Err() != nil: // the time is up: this part again
			log.InfoContext(ctx, "garbage is collected on", "kind", kind, "workspace", ws, "part", parts[i:i+1])
			return ws + "." + parts[i:i+1], nil
		case err != nil:
			return cursor, err
		case i+1 < len(parts):
			return ws + "." + parts[i+1:i+2], nil
		}
		if ws, err = next(ctx, ws); ws == "" || err != nil {
			return "", err
		}
		return ws + "." + parts[:1], nil
	}
}
