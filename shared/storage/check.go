package storage

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/fault"
)

// The checks below are the limits of the contracts, for drivers: every driver
// calls them before it does anything, so that what one refuses all refuse, in
// the same words.

// CodeLimit is the code of a refusal by a limit.
const CodeLimit = "StorageLimit"

func refuse(format string, args ...any) error {
	return fault.New(fault.BadArgument, CodeLimit, format, args...)
}

// cut shortens a name for a message.
func cut(s string) string {
	if len(s) <= 64 {
		return s
	}
	return s[:64] + "…"
}

func isKeyByte(c byte) bool {
	return isAlnum(c) || c == '.' || c == '_' || c == '-'
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isSegment(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := range len(s) {
		if !isKeyByte(s[i]) {
			return false
		}
	}
	return true
}

// CheckKey refuses what is not the key of a blob.
func CheckKey(key string) error {
	if len(key) > 1024 {
		return refuse("blob key %q has %d bytes; at most 1,024 are allowed", cut(key), len(key))
	}
	for s := range strings.SplitSeq(key, "/") {
		if !isSegment(s) || s[len(s)-1] == '.' {
			return refuse("blob key %q: segment %q is not 1 to 256 of [A-Za-z0-9._-] ending without a dot", cut(key), cut(s))
		}
	}
	return nil
}

// CheckPrefix refuses what no key can begin with.
func CheckPrefix(prefix string) error {
	for i := range len(prefix) {
		if c := prefix[i]; c != '/' && !isKeyByte(c) {
			return refuse("blob prefix %q: no key has the byte %q", cut(prefix), c)
		}
	}
	return nil
}

// CheckCondition refuses a condition that asks for two things; a write that
// needs the blob to be there cannot take IfAbsent.
func CheckCondition(c Condition, mayBeAbsent bool) error {
	if c.IfAbsent && c.IfMatch != "" {
		return refuse("a condition cannot be both IfMatch and IfAbsent")
	}
	if c.IfAbsent && !mayBeAbsent {
		return refuse("this write needs the blob to be there: IfAbsent can never hold")
	}
	return nil
}

// CheckMeta refuses metadata that a header cannot carry.
func CheckMeta(meta map[string]string) error {
	size := 0
	for k, v := range meta {
		size += len(k) + len(v)
		for i := range len(k) {
			c := k[i]
			if !('a' <= c && c <= 'z' || c == '_' || i > 0 && '0' <= c && c <= '9') {
				return refuse("metadata name %q is not [a-z_][a-z0-9_]*", cut(k))
			}
		}
		if k == "" {
			return refuse("a metadata name is empty")
		}
		for i := range len(v) {
			if v[i] < ' ' || v[i] > '~' {
				return refuse("metadata %q: its value holds a byte that is not printable ASCII", cut(k))
			}
		}
		if v != strings.TrimSpace(v) {
			return refuse("metadata %q: its value begins or ends with a space", cut(k))
		}
	}
	if size > MaxMetaBytes {
		return refuse("metadata has %d bytes; at most %d are allowed", size, MaxMetaBytes)
	}
	return nil
}

// CheckPut checks the arguments of Blobs.Put.
func CheckPut(key string, body []byte, meta map[string]string, c Condition) error {
	if len(body) > MaxPutBytes {
		return refuse("blob %q has %d bytes; at most %d can be put at once", cut(key), len(body), MaxPutBytes)
	}
	return firstError(CheckKey(key), CheckMeta(meta), CheckCondition(c, true))
}

// CheckSetMeta checks the arguments of Blobs.SetMeta.
func CheckSetMeta(key string, meta map[string]string, c Condition) error {
	return firstError(CheckKey(key), CheckMeta(meta), CheckCondition(c, false))
}

// CheckRead checks the arguments of Blobs.Get.
func CheckRead(key string, o ReadOptions) error {
	if o.Offset < 0 || o.Length < 0 {
		return refuse("blob %q: a range cannot begin at %d with length %d", cut(key), o.Offset, o.Length)
	}
	return CheckKey(key)
}

// CheckPart checks the arguments of Blobs.PutPart.
func CheckPart(key string, body []byte) error {
	if len(body) == 0 {
		return refuse("blob %q: a part cannot be empty", cut(key))
	}
	if len(body) > MaxPartBytes {
		return refuse("blob %q: the part has %d bytes; at most %d are allowed", cut(key), len(body), MaxPartBytes)
	}
	return CheckKey(key)
}

// CheckCommit checks the arguments of Blobs.Commit.
func CheckCommit(key string, parts []PartID, meta map[string]string, c Condition) error {
	if len(parts) > MaxParts {
		return refuse("blob %q: %d parts; at most %d are allowed", cut(key), len(parts), MaxParts)
	}
	seen := make(map[PartID]struct{}, len(parts))
	for _, p := range parts {
		if _, ok := seen[p]; ok {
			return refuse("blob %q: part %s is named twice", cut(key), p)
		}
		seen[p] = struct{}{}
	}
	return firstError(CheckKey(key), CheckMeta(meta), CheckCondition(c, true))
}

// CheckDelete checks the arguments of Blobs.Delete.
func CheckDelete(key string, c Condition) error {
	return firstError(CheckKey(key), CheckCondition(c, false))
}

// CheckSign checks the arguments of Blobs.SignRead and Blobs.SignWrite. A
// minute of grace spares callers who add MaxSigned to a clock of their own.
func CheckSign(key string, until time.Time) error {
	if left := time.Until(until); left <= 0 || left > MaxSigned+time.Minute {
		return refuse("blob %q: a signed URL cannot last for %v; it can for up to %v", cut(key), left.Round(time.Second), MaxSigned)
	}
	return CheckKey(key)
}

// CheckTable refuses what is not the name of a table.
func CheckTable(table string) error {
	ok := len(table) >= 3 && len(table) <= 63 && (table[0] < '0' || table[0] > '9')
	for i := 0; ok && i < len(table); i++ {
		ok = isAlnum(table[i])
	}
	if !ok {
		return refuse("table name %q is not [A-Za-z][A-Za-z0-9]{2,62}", cut(table))
	}
	return nil
}

// CheckRow refuses what is not the key of a partition or a row.
func CheckRow(table string, keys ...string) error {
	for _, k := range keys {
		if !isSegment(k) {
			return refuse("table %s: key %q is not 1 to 256 of [A-Za-z0-9._-]", table, cut(k))
		}
	}
	return CheckTable(table)
}

// CheckQuery checks the arguments of Tables.Query. The bounds of a range need
// not be keys, but hold only what can be compared with keys.
func CheckQuery(table, partition string, r Range) error {
	for _, k := range []string{r.From, r.To} {
		for i := range len(k) {
			if k[i] < ' ' || k[i] > '~' {
				return refuse("table %s: range bound %q holds a byte that is not printable ASCII", table, cut(k))
			}
		}
	}
	return CheckRow(table, partition)
}

// CheckOps checks the arguments of Tables.Apply.
func CheckOps(table, partition string, ops []Op) error {
	if err := CheckRow(table, partition); err != nil {
		return err
	}
	if len(ops) > MaxApplyOps {
		return refuse("table %s: %d operations in one Apply; at most %d are allowed", table, len(ops), MaxApplyOps)
	}
	seen := make(map[string]struct{}, len(ops))
	wire := 0
	for _, op := range ops {
		if err := checkOp(table, op); err != nil {
			return err
		}
		if _, ok := seen[op.Row]; ok {
			return refuse("table %s: row %q is named twice in one Apply", table, op.Row)
		}
		seen[op.Row] = struct{}{}
		stored, sent, err := propsSize(table, op.Row, op.Props)
		if err != nil {
			return err
		}
		if stored += 4 + 2*(len(partition)+len(op.Row)); stored > MaxEntityBytes {
			return refuse("table %s: row %q has %d bytes; at most %d are allowed", table, op.Row, stored, MaxEntityBytes)
		}
		wire += sent + len(partition) + len(op.Row) + 1024 // 1,024: an operation's own headers
	}
	if wire > MaxApplyBytes {
		return refuse("table %s: one Apply has %d bytes; at most %d are allowed", table, wire, MaxApplyBytes)
	}
	return nil
}

func checkOp(table string, op Op) error {
	if err := CheckRow(table, op.Row); err != nil {
		return err
	}
	switch op.Kind {
	case Insert, Upsert:
		if op.IfMatch != "" {
			return refuse("table %s: row %q: an insert or upsert takes no IfMatch", table, op.Row)
		}
	case Replace, Delete:
		if op.IfMatch == "" {
			return refuse("table %s: row %q: a replace or delete needs IfMatch", table, op.Row)
		}
		if op.Kind == Delete && len(op.Props) > 0 {
			return refuse("table %s: row %q: a delete takes no properties", table, op.Row)
		}
	default:
		return refuse("table %s: row %q: unknown kind of operation %d", table, op.Row, op.Kind)
	}
	return nil
}

var (
	minTime = time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC)
	maxTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// propsSize returns the size of p as Azure stores it and, at most, as it is
// sent.
func propsSize(table, row string, p Props) (stored, sent int, err error) {
	if len(p) > MaxProperties {
		return 0, 0, refuse("table %s: row %q has %d properties; at most %d are allowed", table, row, len(p), MaxProperties)
	}
	for name, v := range p {
		if !isPropName(name) {
			return 0, 0, refuse("table %s: row %q: %q is not the name of a property", table, row, cut(name))
		}
		stored += 8 + 2*len(name)
		sent += 64 + 2*len(name) // the value's type annotation repeats the name
		switch v := v.(type) {
		case string:
			units, bytes, ok := textSize(v)
			if !ok {
				return 0, 0, refuse("table %s: row %q: property %s is not valid UTF-8", table, row, name)
			}
			if units > MaxPropertyText {
				return 0, 0, refuse("table %s: row %q: property %s has %d UTF-16 units; at most %d are allowed", table, row, name, units, MaxPropertyText)
			}
			stored += 4 + 2*units
			sent += bytes
		case []byte:
			if len(v) > MaxPropertyBlob {
				return 0, 0, refuse("table %s: row %q: property %s has %d bytes; at most %d are allowed", table, row, name, len(v), MaxPropertyBlob)
			}
			stored += 4 + len(v)
			sent += 4 * (len(v) + 2) / 3
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return 0, 0, refuse("table %s: row %q: property %s is not a finite number", table, row, name)
			}
			stored += 8
		case int64:
			stored += 8
		case bool:
			stored++
		case time.Time:
			if v.Before(minTime) || !v.Before(maxTime) {
				return 0, 0, refuse("table %s: row %q: property %s lies outside the years 1601 to 9999", table, row, name)
			}
			stored += 8
		default:
			return 0, 0, refuse("table %s: row %q: property %s has type %T; string, int64, float64, bool, []byte and time.Time are allowed", table, row, name, v)
		}
	}
	return stored, sent, nil
}

func isPropName(s string) bool {
	if s == "" || len(s) > 255 || s[0] == '_' || '0' <= s[0] && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '_' {
			return false
		}
	}
	switch s {
	case "PartitionKey", "RowKey", "Timestamp", "ETag":
		return false
	}
	return true
}

// textSize returns the UTF-16 units of s and its bytes as JSON.
func textSize(s string) (units, bytes int, ok bool) {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return 0, 0, false
			}
		}
		units++
		switch {
		case r > 0xFFFF:
			units++
			bytes += 4
		case r < ' ' || r == 0x7F || strings.ContainsRune("\"\\<>&\u2028\u2029", r):
			bytes += 6
		default:
			bytes += utf8.RuneLen(r)
		}
	}
	return units, bytes, true
}

// CheckQueue refuses what is not the name of a queue.
func CheckQueue(queue string) error {
	ok := len(queue) >= 3 && len(queue) <= 63
	for i := 0; ok && i < len(queue); i++ {
		switch c := queue[i]; {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
		case c == '-':
			ok = i > 0 && i < len(queue)-1 && queue[i-1] != '-'
		default:
			ok = false
		}
	}
	if !ok {
		return refuse("queue name %q is not [a-z0-9](-?[a-z0-9])* of 3 to 63 characters", cut(queue))
	}
	return nil
}

// CheckSend checks the arguments of Queues.Send.
func CheckSend(queue string, body []byte, delay time.Duration) error {
	if len(body) == 0 {
		return refuse("queue %s: a message cannot be empty", cut(queue))
	}
	if len(body) > MaxMessageBytes {
		return refuse("queue %s: the message has %d bytes; at most %d are allowed", cut(queue), len(body), MaxMessageBytes)
	}
	if delay < 0 || delay > MaxDelay {
		return refuse("queue %s: a delay of %v is not between 0 and %v", cut(queue), delay, MaxDelay)
	}
	return CheckQueue(queue)
}

// CheckReceive checks the arguments of Queues.Receive.
func CheckReceive(queue string, n int, visibility time.Duration) error {
	if n < 1 || n > 32 {
		return refuse("queue %s: %d messages cannot be received at once; 1 to 32 can", cut(queue), n)
	}
	if visibility <= 0 {
		return refuse("queue %s: a received message must be hidden for some time, not %v", cut(queue), visibility)
	}
	return CheckExtend(queue, visibility)
}

// CheckExtend checks the arguments of Queues.Extend.
func CheckExtend(queue string, visibility time.Duration) error {
	if visibility < 0 || visibility > MaxDelay {
		return refuse("queue %s: a visibility of %v is not between 0 and %v", cut(queue), visibility, MaxDelay)
	}
	return CheckQueue(queue)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
