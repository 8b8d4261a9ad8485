package dataset

import (
	"io/fs"
	"syscall"
)

// changedAt is when a file, or what is known of it, was changed last: programs cannot set it back, as they can the time of change of its
// contents.
func changedAt(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ctim.Nano()
	}
	return 0
}
