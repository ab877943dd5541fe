package batch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/portico-ml/portico/shared/storage"
)

// All rows are in table "jobs". Which row serves which query:
//
//	partition              row                 what, and who asks for it
//	{job}                  job                 the job itself: point read by every request and every step
//	{job}                  lease               the holder of a whole job (§ whole.go); written in one Apply with job
//	{job}.{chunk/64}       c{chunk}            a chunk is done: bytes, rows, bad rows. One page = is this group full?
//	{job}.g.{group/64}     g{group}            a group is full: the sums of its rows. One page = is this one full?
//	{job}.h.{n/64}         h{n}                the same once more, for jobs of more than 4,096 chunks
//	{ws}.{endpoint}        slot.{00…39}        a job that runs; the keys are the limit: an insert that works is a place
//	{ws}.{endpoint}        wait.{time}.{job}   a job that waits; key order is the order of the queue
//	{ws}.{endpoint}.jobs   {time}.{job}        the jobs of an endpoint, the newest first; never changed
//	{ws}.listed            {endpoint}          endpoints that have had jobs: where Forget looks for old ones
//	active.{0…15}          {job}               jobs that have not been seen to end: what sweep walks, and nothing else
const table = "jobs"

const (
	jobRow   = "job"
	leaseRow = "lease"
	fanout   = 64 // done rows of one group
	indexes  = 16 // partitions of the active index
)

func endpointPartition(ws, endpoint string) string { return ws + "." + endpoint }

func slotRow(n int) string { return fmt.Sprintf("slot.%02d", n) }

func waitRow(started time.Time, job string) string {
	return "wait." + started.UTC().Format("20060102T150405.000000Z") + "." + job
}

func activePartition(job string) string {
	h := fnv.New32a()
	h.Write([]byte(job))
	return activeIndex(int(h.Sum32() % indexes))
}

func activeIndex(n int) string { return "active." + strconv.Itoa(n) }

// levels of completion: letter of the rows, and of the partition.
var levels = [...]struct{ row, part string }{{"c", "."}, {"g", ".g."}, {"h", ".h."}}

func donePartition(job string, level, n int) string {
	return job + levels[level].part + strconv.Itoa(n/fanout)
}

func doneRow(level, n int) string { return levels[level].row + fmt.Sprintf("%06d", n) }

// Blobs of a job, in container "portico":
//
//	{ws}/jobs/{job}/in/{name}        a snapshot of an input that is no blob
//	{ws}/jobs/{job}/plan/{n}         segment n of the plan
//	{ws}/jobs/{job}/{plan}/{name}    a staged output or error file; after the commit, the result
//
// {plan} is the first 16 hex digits of the plan's digest, followed for a whole
// job by "-{epoch}" of the lease under which it was staged.
func jobPrefix(ws, job string) string { return ws + "/jobs/" + job + "/" }

func inputKey(ws, job, name, digest, ext string) string {
	return jobPrefix(ws, job) + "in/" + safe(name) + "-" + digest[:16] + "." + ext
}

func segmentKey(ws, job string, n int) string {
	return jobPrefix(ws, job) + "plan/" + strconv.Itoa(n)
}

func stagingKey(ws, job, plan, name, ext string) string {
	return jobPrefix(ws, job) + plan + "/" + safe(name) + "." + ext
}

// errorFile is the staging name of the error file; a port cannot have it,
// because safe never yields a leading underscore.
const errorFile = "_errors"

// safe makes a port name a segment of a key: ports may be called anything.
func safe(name string) string {
	if name == errorFile {
		return name
	}
	ok := name != "" && len(name) <= 100 && name[0] != '_' && name[0] != '.' && name[0] != '-'
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
	}
	if ok {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "x" + hex.EncodeToString(sum[:16])
}

// partID names the part of chunk (or, for 0, the header) of one staged file.
// It depends on the plan and the chunk alone, so that a chunk staged twice is
// staged once.
func partID(job, plan, name string, n int) storage.PartID {
	var id storage.PartID
	sum := sha256.Sum256([]byte(job + "\x00" + plan + "\x00" + name))
	copy(id[:8], sum[:8])
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// dropID is the id of the job of a dropped file: the same event twice is the
// same job, the file written again is another.
func dropID(ws, service, path, etag string) string {
	return derivedID("drop", ws, service, path, etag)
}

func derivedID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
