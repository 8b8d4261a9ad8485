package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"latent/pkg/array"
)

// maxIDXBytes bounds an IDX file's contents: 60,000 images of 28×28 are 47 MB.
const maxIDXBytes = 256 << 20

// readIDX parses an IDX file of bytes, plain or gzipped, with this many dimensions: 1 for labels, 3 for images.
//
// The format is two zero bytes, the type (8 for bytes), the number of dimensions, each dimension as a big-endian 32-bit
// number, and the values; nothing may follow.
//
// Source: LeCun, Cortes & Burges, "The MNIST database", section "file formats".
func readIDX(file []byte, rank int) (dims []int, values []uint8, err error) {
	if bytes.HasPrefix(file, []byte{0x1f, 0x8b}) {
		if file, err = gunzip(file); err != nil {
			return nil, nil, err
		}
	}
	header := 4 + 4*rank
	if len(file) < header {
		return nil, nil, fmt.Errorf("not an IDX file: it has %d bytes, and a header needs %d", len(file), header)
	}
	if want := []byte{0, 0, 8, byte(rank)}; !bytes.Equal(file[:4], want) {
		return nil, nil, fmt.Errorf("not an IDX file of bytes with %d dimensions: it begins with % x instead of % x", rank, file[:4], want)
	}
	count := 1
	for i := range rank {
		dim := int(binary.BigEndian.Uint32(file[4+4*i:]))
		if dim == 0 || dim > maxIDXBytes/count {
			return nil, nil, fmt.Errorf("IDX dimension %d is %d; must be from 1 to %d", i+1, dim, maxIDXBytes/count)
		}
		dims = append(dims, dim)
		count *= dim
	}
	values = file[header:]
	if len(values) != count {
		return nil, nil, fmt.Errorf("IDX file with dimensions %v has %d values instead of %d: it is truncated or damaged", dims, len(values), count)
	}
	return dims, values, nil
}

// gunzip unpacks a gzipped file of at most maxIDXBytes.
func gunzip(file []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	unpacked, err := io.ReadAll(io.LimitReader(reader, maxIDXBytes+1))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.New("unpack: the file is truncated")
	}
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if len(unpacked) > maxIDXBytes {
		return nil, fmt.Errorf("unpack: more than %d bytes", maxIDXBytes)
	}
	return unpacked, nil
}

// readIDXImages joins a file of images and one of labels.
func readIDXImages(imageFile, labelFile []byte, classes int) (*Samples, error) {
	dims, pixels, err := readIDX(imageFile, 3)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	_, labels, err := readIDX(labelFile, 1)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	if len(labels) != dims[0] {
		return nil, fmt.Errorf("%d labels for %d images", len(labels), dims[0])
	}
	for i, label := range labels {
		if int(label) >= classes {
			return nil, fmt.Errorf("image %d has label %d, but there are %d classes", i, label, classes)
		}
	}
	return &Samples{Height: dims[1], Width: dims[2], Channels: 1, Values: array.Values{Uint8: pixels}, Labels: labels}, nil
}
