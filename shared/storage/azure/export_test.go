package azure

// WithoutRetries gives up at the first failure.
func WithoutRetries() Option {
	return func(o *options) { o.client.Retry.MaxRetries = -1 }
}
