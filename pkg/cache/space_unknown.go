//go:build netbsd || openbsd

package cache

// freeSpace is not known here; a full disk is told when it is full.
func freeSpace(string) int64 { return unknown }
