package service

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
	"time"
)

// NewActID returns the id of an act: 16 hex digits that fall as time rises, and
// fall always within a process, then 16 random ones. Newest sorts first,
// because every reader of audits and notifications starts there.
func NewActID(now time.Time) string {
	t := now.UnixMicro()
	for {
		last := lastAct.Load()
		t = max(t, last+1)
		if lastAct.CompareAndSwap(last, t) {
			break
		}
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], ^uint64(t))
	rand.Read(b[8:])
	return hex.EncodeToString(b[:])
}

var lastAct atomic.Int64
