//go:build linux || darwin

package doctor

import "syscall"

// freeBytes is what a folder's disk has left for us.
func freeBytes(dir string) (uint64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
