//go:build darwin || dragonfly || freebsd || linux

package cache

import (
	"math"

	"golang.org/x/sys/unix"
)

// freeSpace is how many bytes the disk of a folder has left for this user.
func freeSpace(dir string) int64 {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return unknown
	}
	blocks, each := max(0, int64(stat.Bavail)), max(1, int64(stat.Bsize)) // some systems count what is kept for root as less than none
	return min(blocks, math.MaxInt64/each) * each
}
