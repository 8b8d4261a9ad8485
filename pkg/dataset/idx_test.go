package dataset

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
)

// idx is an IDX file of bytes: its type and dimensions as the format writes them, then the values.
func idx(values []uint8, dims ...int) []byte {
	file := []byte{0, 0, 8, byte(len(dims))}
	for _, dim := range dims {
		file = append(file, byte(dim>>24), byte(dim>>16), byte(dim>>8), byte(dim))
	}
	return append(file, values...)
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestReadIDX(t *testing.T) {
	six := []uint8{1, 2, 3, 4, 5, 6}
	for name, file := range map[string][]byte{"plain": idx(six, 1, 2, 3), "gzipped": gzipped(t, idx(six, 1, 2, 3))} {
		t.Run(name, func(t *testing.T) {
			dims, values, err := readIDX(file, 3)
			if err != nil || !slices.Equal(dims, []int{1, 2, 3}) || !bytes.Equal(values, six) {
				t.Errorf("got %v, %v, %v", dims, values, err)
			}
		})
	}
}

func TestReadIDXRefuses(t *testing.T) {
	six := []uint8{1, 2, 3, 4, 5, 6}
	whole := gzipped(t, idx(six, 6))
	flipped := slices.Clone(whole)
	flipped[len(flipped)-5] ^= 1 // in gzip's own checksum
	for name, c := range map[string]struct {
		file []byte
		rank int
		want string
	}{
		"empty":               {nil, 1, "it has 0 bytes"},
		"half a header":       {idx(nil, 6)[:7], 1, "it has 7 bytes"},
		"a web page":          {[]byte("<!DOCTYPE html><title>moved</title>"), 1, "it begins with 3c 21 44 4f"},
		"floats":              {[]byte{0, 0, 0x0d, 1, 0, 0, 0, 1, 0, 0, 0, 0}, 1, "it begins with 00 00 0d 01"},
		"labels as images":    {idx(make([]uint8, 20), 20), 3, "it begins with 00 00 08 01"},
		"one value too few":   {idx(six[:5], 6), 1, "has 5 values instead of 6"},
		"one value too many":  {idx(six, 5), 1, "has 6 values instead of 5"},
		"no images":           {idx(nil, 0, 28, 28), 3, "dimension 1 is 0"},
		"a huge dimension":    {idx(nil, 0xffffffff), 1, "dimension 1 is 4294967295"},
		"a product over 2^64": {idx(nil, 1<<28, 1<<31, 1<<31), 3, "dimension 2 is"},
		"gzip cut off":        {whole[:len(whole)-9], 1, "truncated"},
		"gzip changed":        {flipped, 1, "checksum"},
		"gzip with a tail":    {append(slices.Clone(whole), "tail"...), 1, "unpack"},
		"a gzip bomb":         {gzipped(t, make([]byte, maxIDXBytes+1)), 1, "more than 268435456 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := readIDX(c.file, c.rank)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestReadIDXImagesRefuses(t *testing.T) {
	images := idx(make([]uint8, 8), 2, 2, 2)
	for name, c := range map[string]struct {
		labels []byte
		want   string
	}{
		"a label too few":   {idx([]uint8{1}, 1), "1 labels for 2 images"},
		"a class too many":  {idx([]uint8{9, 10}, 2), "image 1 has label 10, but there are 10 classes"},
		"images for labels": {images, "labels: not an IDX file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readIDXImages(images, c.labels, 10)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// FuzzReadIDX checks that no file crashes the reader, and that what it accepts is written back as the same file.
func FuzzReadIDX(f *testing.F) {
	for _, seed := range [][]byte{
		idx([]uint8{7}, 1), idx(make([]uint8, 12), 3, 2, 2), idx(nil, 0xffffffff), idx(nil, 1<<16, 1<<16, 1<<16),
		gzipped(f, idx([]uint8{7}, 1)), gzipped(f, nil), {0x1f, 0x8b}, nil,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, rank := range []int{1, 3} {
			dims, values, err := readIDX(file, rank)
			if err == nil && !bytes.HasPrefix(file, []byte{0x1f, 0x8b}) && !bytes.Equal(idx(values, dims...), file) {
				t.Errorf("rank %d: %v with %d values does not give the file back", rank, dims, len(values))
			}
		}
	})
}
