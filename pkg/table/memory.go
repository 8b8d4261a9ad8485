package table

import (
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

const (
	minMemory      = 64 << 20 // bytes that any file may take at once
	maxMemory      = 4 << 30
	maxMemoryRatio = 4096 // between them, bytes of memory for each byte of the file
)

// limited gives arrow-go memory up to what a file of its size needs, and panics with a memoryError beyond.
type limited struct {
	memory.Allocator
	left atomic.Int64 // arrow-go frees in a finalizer too
}

func newLimited(size int64) *limited {
	l := &limited{Allocator: memory.NewGoAllocator()}
	l.left.Store(min(minMemory+maxMemoryRatio*min(size, maxMemory), maxMemory))
	return l
}

func (l *limited) take(size int) {
	if size < 0 || l.left.Add(-int64(size)) < 0 {
		l.left.Add(int64(max(size, 0)))
		panic(memoryError{int64(size)})
	}
}

// Allocate returns size bytes.
func (l *limited) Allocate(size int) []byte {
	l.take(size)
	return l.Allocator.Allocate(size)
}

// Reallocate returns size bytes that begin with those of old.
func (l *limited) Reallocate(size int, old []byte) []byte {
	l.take(size - min(size, len(old)))
	if size < len(old) {
		l.left.Add(int64(len(old) - size))
	}
	return l.Allocator.Reallocate(size, old)
}

// Free gives memory back.
func (l *limited) Free(old []byte) {
	l.left.Add(int64(len(old)))
	l.Allocator.Free(old)
}
