package weights

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// WriteNPZ writes tensors as a .npz file: np.load(file)["encoder.layer_1.weight"] is one of them. It is a zip archive with an
// array in NumPy's format, version 1.0, for each tensor, not compressed.
func WriteNPZ(w io.Writer, tensors []Tensor) error {
	if err := check(tensors); err != nil {
		return fmt.Errorf("write npz: %w", err)
	}
	archive := zip.NewWriter(w)
	for _, t := range tensors {
		// Without a time: equal tensors give equal files.
		entry, err := archive.CreateHeader(&zip.FileHeader{Name: t.Name + ".npy", Method: zip.Store})
		if err != nil {
			return fmt.Errorf("write npz: %w", err)
		}
		if err := writeNPY(entry, t); err != nil {
			return fmt.Errorf("write npz: %s: %w", t.Name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write npz: %w", err)
	}
	return nil
}

// npyAlign is what the length of an array's header is a multiple of.
const npyAlign = 64

func writeNPY(w io.Writer, t Tensor) error {
	var shape strings.Builder
	for _, dim := range t.Dims {
		fmt.Fprintf(&shape, "%d, ", dim) // the comma after the last makes a tuple of one
	}
	head := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", strings.TrimSuffix(shape.String(), " "))
	const before = len("\x93NUMPY") + 2 + 2 // magic, version, length
	padding := npyAlign - (before+len(head)+1)%npyAlign
	head += strings.Repeat(" ", padding%npyAlign) + "\n"
	prefix := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(head)))
	if _, err := w.Write(append(prefix, head...)); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, t.Values)
}
