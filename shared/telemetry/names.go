package telemetry

// Keys of log lines. Metrics use the same names for their attributes.
const (
	keyRequest    = "request_id"
	keyMethod     = "method"
	keyRoute      = "route"
	keyStatus     = "status"
	keyWorkspace  = "workspace"
	keyService    = "service"
	keyEndpoint   = "endpoint"
	keyDeployment = "deployment"
	keyJob        = "job"
	keyBy         = "by"
	keyRows       = "rows"
	keyBytesIn    = "bytes_in"
	keyBytesOut   = "bytes_out"
	keyTotal      = "total_us"
	keyParse      = "parse_us"
	keyScore      = "score_us"
	keyWrite      = "write_us"
	keyWait       = "wait_us"
	keyClass      = "class"
	keyCode       = "code"
	keyCause      = "cause"
	keyFunction   = "function"
	keyDequeued   = "dequeue_count"
	keyQueued     = "queued_ms"
	keyQueue      = "queue"
)

// Metrics. Durations are in seconds, as OpenTelemetry asks.
const (
	nameCalls        = "portico.calls"             // {call}: by route, endpoint, status, code
	nameCallDuration = "portico.call.duration"     // s: by route, endpoint
	nameRows         = "portico.rows"              // {row}: by endpoint
	nameScore        = "portico.score.duration"    // s: by endpoint
	nameDeliveries   = "portico.deliveries"        // {delivery}: by function, code
	nameDelivery     = "portico.delivery.duration" // s: by function
	nameQueued       = "portico.queue.wait"        // s: by function
	namePoison       = "portico.poison"            // {message}: by queue
)

var (
	callBuckets  = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60}
	scoreBuckets = []float64{0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10, 60}
	workBuckets  = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 3600}
)
