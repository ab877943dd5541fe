package main

import (
	"fmt"
	"math"
	"time"
)

// limits are the targets that Azure Storage publishes for a general-purpose v2
// account, a second:
//
//   - "Scalability and performance targets for standard storage accounts":
//     20,000 requests, 25 Gbit/s in, 50 Gbit/s out; in most large regions
//     40,000, 60 and 200;
//   - "Scalability and performance targets for Blob storage" (January 2023):
//     500 requests to one blob; the throughput of a block blob is the account's;
//   - "Scalability and performance targets for Table storage": 2,000 entities of
//     1 KiB in one partition, 20,000 transactions in an account;
//   - "Scalability and performance targets for Queue Storage": 2,000 messages of
//     1 KiB in one queue, 20,000 in an account.
type limits struct {
	requests         float64 // of the account
	ingress, egress  float64 // bytes
	blob             float64 // requests to one
	partition        float64 // entities of one
	tables           float64 // transactions of the account
	queue            float64 // messages of one
	queues           float64 // messages of the account
	cannotBeExceeded bool    // a store of one's own: nothing is refused
}

var (
	everyRegion  = limits{requests: 20_000, ingress: 25e9 / 8, egress: 50e9 / 8, blob: 500, partition: 2_000, tables: 20_000, queue: 2_000, queues: 20_000}
	largeRegions = limits{requests: 40_000, ingress: 60e9 / 8, egress: 200e9 / 8, blob: 500, partition: 2_000, tables: 20_000, queue: 2_000, queues: 20_000}
)

// bucket is one limit at work: rate tokens a second flow into it, and as many
// are kept at most.
type bucket struct {
	rate, tokens float64
	at           time.Duration

	second   int64 // the last one in which something was taken
	inSecond float64
	peak     float64 // most in a second
	all      float64
	refused  int
}

func newBucket(rate float64) *bucket { return &bucket{rate: rate, tokens: rate} }

// holds reports whether n tokens are there at the time.
func (b *bucket) holds(at time.Duration, n float64) bool {
	if at > b.at {
		b.tokens = min(b.rate, b.tokens+b.rate*(at-b.at).Seconds())
		b.at = at
	}
	// What is more than a second's worth by itself passes when the bucket is
	// full, and leaves a debt.
	return b.tokens >= min(n, b.rate)
}

func (b *bucket) take(at time.Duration, n float64) {
	b.tokens -= n
	b.all += n
	if s := int64(at / time.Second); s != b.second {
		b.second, b.inSecond = s, 0
	}
	b.inSecond += n
	b.peak = max(b.peak, b.inSecond)
}

// request is one call as storage counts it.
type request struct {
	port     port
	key      string  // of the blob, partition or queue
	count    float64 // entities or messages
	up, down float64 // bytes
}

type port uint8

const (
	toBlob port = iota
	toTable
	toQueue
)

// account is a storage account: a bucket for each limit, and one for every
// blob, partition and queue.
type account struct {
	limits
	shared map[string]*bucket // by the name of the limit
	keyed  map[string]map[string]*bucket
}

// Names of limits, as the report shows them.
const (
	limRequests  = "account requests"
	limIngress   = "ingress"
	limEgress    = "egress"
	limBlob      = "one blob"
	limPartition = "one partition"
	limTables    = "table requests"
	limQueue     = "one queue"
	limQueues    = "queue messages"
)

var allLimits = []string{limRequests, limIngress, limEgress, limBlob, limPartition, limTables, limQueue, limQueues}

func newAccount(l limits) *account {
	return &account{
		limits: l,
		shared: map[string]*bucket{
			limRequests: newBucket(l.requests), limIngress: newBucket(l.ingress), limEgress: newBucket(l.egress),
			limTables: newBucket(l.tables), limQueues: newBucket(l.queues),
		},
		keyed: map[string]map[string]*bucket{limBlob: {}, limPartition: {}, limQueue: {}},
	}
}

type share struct {
	name string
	b    *bucket
	n    float64
}

// admit takes what the request needs of every limit, or nothing, and names the
// limit that was exhausted.
func (a *account) admit(at time.Duration, r request) (over string) {
	if a.cannotBeExceeded {
		return ""
	}
	shares := []share{{limRequests, a.shared[limRequests], 1}, {limIngress, a.shared[limIngress], r.up}, {limEgress, a.shared[limEgress], r.down}}
	switch r.port {
	case toBlob:
		shares = append(shares, share{limBlob, a.key(limBlob, r.key, a.blob), 1})
	case toTable:
		shares = append(shares, share{limTables, a.shared[limTables], 1}, share{limPartition, a.key(limPartition, r.key, a.partition), r.count})
	case toQueue:
		shares = append(shares, share{limQueues, a.shared[limQueues], r.count}, share{limQueue, a.key(limQueue, r.key, a.queue), r.count})
	}
	for _, s := range shares {
		if !s.b.holds(at, s.n) {
			s.b.refused++
			return s.name
		}
	}
	for _, s := range shares {
		s.b.take(at, s.n)
	}
	return ""
}

func (a *account) key(limit, key string, rate float64) *bucket {
	b := a.keyed[limit][key]
	if b == nil {
		b = newBucket(rate)
		a.keyed[limit][key] = b
	}
	return b
}

// load is how much of a limit was used: of the busiest key, in its busiest
// second, as a part of the rate; and how many requests it refused.
func (a *account) load(limit string) (peak float64, refused int) {
	each := func(b *bucket) {
		peak = max(peak, b.peak/b.rate)
		refused += b.refused
	}
	if b := a.shared[limit]; b != nil {
		each(b)
	}
	for _, b := range a.keyed[limit] {
		each(b)
	}
	return peak, refused
}

func percent(v float64) string {
	if math.IsNaN(v) || v <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100*v)
}
