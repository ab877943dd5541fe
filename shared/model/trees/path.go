package trees

// Path names the code that scores on this machine: "avx512" or "portable".
// Both give the same bits; readiness reports it, so that a slow machine can be
// told from a slow service.
func Path() string {
	if hasWide {
		return "avx512"
	}
	return "portable"
}
