package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomlx/compute/dtypes"
)

// A file has the values from its first byte on, so that they are aligned to pages; then the caller's JSON; then the header, as JSON;
// then a footer:
//
//	 0  8 bytes  magic, with the format's version
//	 8  8 bytes  the header's length, little-endian
//	16 32 bytes  the header's SHA-256
const (
	magic       = "LATENT\x00\x01"
	footerBytes = 48
	maxHeader   = 64 << 20 // bytes: the checksums of 80 TiB
	maxMeta     = 1 << 30  // bytes
	chunkBytes  = 16 << 20 // that one checksum is of
)

// header is what a file says of itself.
type header struct {
	Key        string    `json:"key"`
	Title      string    `json:"title"`
	Type       string    `json:"type"`
	Values     int64     `json:"values"`
	Made       time.Time `json:"made"`
	Sums       []uint32  `json:"sums"` // CRC-32C of each chunk of the values
	MetaBytes  int64     `json:"meta_bytes"`
	MetaSHA256 string    `json:"meta_sha256"`
}

// typeNames are the types that values can have.
var typeNames = map[dtypes.DType]string{dtypes.Uint8: "uint8", dtypes.Uint16: "uint16", dtypes.Float32: "float32"}

// dtype is the type of the values.
func (h header) dtype() dtypes.DType {
	for dtype, name := range typeNames {
		if name == h.Type {
			return dtype
		}
	}
	return dtypes.InvalidDType
}

// bytes is how many the values take.
func (h header) bytes() int64 { return h.Values * int64(h.dtype().Size()) }

// damage is an error that wraps ErrDamaged, of what was found.
func damage(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// encode is the header with its footer.
func (h header) encode() ([]byte, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if len(text) > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes; the limit is %d; give it a shorter title", len(text), maxHeader)
	}
	sum := sha256.Sum256(text)
	footer := binary.LittleEndian.AppendUint64([]byte(magic), uint64(len(text)))
	return append(append(text, footer...), sum[:]...), nil
}

// readHeader reads and checks the header of a file of so many bytes: with it, all sizes are right.
func readHeader(file io.ReaderAt, size int64, key string) (header, error) {
	var h header
	footer := make([]byte, footerBytes)
	if size < footerBytes {
		return h, damage("it is truncated to %d bytes", size)
	}
	if err := readAt(file, footer, size-footerBytes); err != nil {
		return h, err
	}
	if string(footer[:8]) != magic {
		return h, damage("it is truncated, or has another version")
	}
	length := binary.LittleEndian.Uint64(footer[8:])
	if length > uint64(min(maxHeader, size-footerBytes)) {
		return h, damage("a header of %d bytes in a file of %d", length, size)
	}
	text := make([]byte, length)
	if err := readAt(file, text, size-footerBytes-int64(length)); err != nil {
		return h, err
	}
	if sum := sha256.Sum256(text); !bytes.Equal(sum[:], footer[16:]) {
		return h, damage("the header has the wrong checksum")
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, damage("the header is invalid: %v", err)
	}
	rest := size - footerBytes - int64(length)
	switch {
	case h.Key != key:
		return h, damage("it belongs to key %.80q", h.Key)
	case h.dtype() == dtypes.InvalidDType:
		return h, damage("values of type %.80q", h.Type)
	case h.Values < 0 || h.Values > rest/int64(h.dtype().Size()) || h.MetaBytes < 0 || h.MetaBytes > maxMeta || h.bytes()+h.MetaBytes != rest:
		return h, damage("%d values of %s and %d bytes beside them, in %d bytes", h.Values, h.Type, h.MetaBytes, rest)
	case h.bytes() > math.MaxInt:
		return h, fmt.Errorf("%d values of %s are more than this machine can map", h.Values, h.Type)
	case int64(len(h.Sums)) != chunks(h.bytes()):
		return h, damage("%d checksums of %d bytes", len(h.Sums), h.bytes())
	}
	return h, nil
}

// readMeta reads and checks the caller's JSON.
func (h header) readMeta(file io.ReaderAt) ([]byte, error) {
	text := make([]byte, h.MetaBytes)
	if err := readAt(file, text, h.bytes()); err != nil {
		return nil, err
	}
	if sumOf(text) != h.MetaSHA256 {
		return nil, damage("its description has the wrong checksum")
	}
	return text, nil
}

// sumOf is a SHA-256 in hex.
func sumOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// readAt fills p. A file that ends before is damaged.
func readAt(file io.ReaderAt, p []byte, at int64) error {
	n, err := file.ReadAt(p, at)
	switch {
	case n == len(p):
		return nil
	case errors.Is(err, io.EOF):
		return damage("it is truncated at %d bytes", at+int64(n))
	}
	return err
}

// chunks is how many checksums so many bytes have.
func chunks(bytes int64) int64 { return (bytes + chunkBytes - 1) / chunkBytes }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bufferBytes is how much a goroutine reads at once: what stays in a processor's cache.
const bufferBytes = 256 << 10

// checksums returns those of the first bytes of a file. It reads instead of looking at mapped pages: that takes a tenth more
// time, leaves no pages in the process's memory, and a file that is cut off meanwhile is an error instead of a signal.
func checksums(file io.ReaderAt, bytes int64) ([]uint32, error) {
	sums := make([]uint32, chunks(bytes))
	workers := min(runtime.GOMAXPROCS(0), len(sums))
	failures := make([]error, workers)
	var next atomic.Int64
	var failed atomic.Bool
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			buffer := make([]byte, bufferBytes)
			for i := next.Add(1) - 1; i < int64(len(sums)) && !failed.Load(); i = next.Add(1) - 1 {
				end := min((i+1)*chunkBytes, bytes)
				for at := i * chunkBytes; at < end; at += bufferBytes {
					part := buffer[:min(bufferBytes, end-at)]
					if failures[worker] = readAt(file, part, at); failures[worker] != nil {
						failed.Store(true)
						return
					}
					sums[i] = crc32.Update(sums[i], castagnoli, part)
				}
			}
		})
	}
	group.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// check compares the values with their checksums.
func (h header) check(file io.ReaderAt) error {
	sums, err := checksums(file, h.bytes())
	if err != nil {
		return err
	}
	for i, sum := range sums {
		if sum != h.Sums[i] {
			return damage("bytes %d to %d have the wrong checksum", i*chunkBytes, min(int64(i+1)*chunkBytes, h.bytes())-1)
		}
	}
	return nil
}
