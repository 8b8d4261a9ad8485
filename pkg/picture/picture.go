// Package picture reads picture files that may be damaged, huge or hostile.
//
//	p, err := picture.Read("photo.jpg") // PNG, JPEG or GIF (its first frame), upright
//
// Promised: a file is read only if it is a regular file of at most [MaxBytes], and unpacked only if it says that it has at
// most [MaxPixels]; every error names the file; the orientation that a camera wrote beside the picture is applied.
//
// What is not here: scaling to a model's size (pkg/dataset) and the models' work (pkg/restore).
package picture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Bounds of what is read: a file's size, and the pixels of a picture, which take at most half a gigabyte unpacked.
const (
	MaxBytes  = 256 << 20
	MaxPixels = 1 << 26
	MaxFiles  = 2_000_000
)

// Picture is a picture and the file that it came from.
type Picture struct {
	image.Image
	SHA256 string // of the file
}

// Read reads a picture, and turns it upright as its EXIF orientation says.
func Read(path string) (Picture, error) {
	data, err := readBounded(path)
	if err != nil {
		return Picture{}, err
	}
	if len(data) == 0 {
		return Picture{}, fmt.Errorf("%s: the file is empty", path)
	}
	header, format, err := image.DecodeConfig(bytes.NewReader(data))
	if errors.Is(err, image.ErrFormat) {
		return Picture{}, fmt.Errorf("%s: not a PNG, JPEG or GIF file", path)
	}
	if err != nil {
		return Picture{}, fmt.Errorf("%s: %w", path, err)
	}
	if header.Width <= 0 || header.Height <= 0 || header.Width > MaxPixels/header.Height {
		return Picture{}, fmt.Errorf("%s: %d×%d pixels, at most %d are read", path, header.Width, header.Height, MaxPixels)
	}
	decoded, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return Picture{}, fmt.Errorf("%s: %w", path, err)
	}
	if format == "jpeg" {
		decoded = upright(decoded, orientation(data))
	}
	digest := sha256.Sum256(data)
	return Picture{Image: decoded, SHA256: hex.EncodeToString(digest[:])}, nil
}

// readBounded reads a regular file of at most MaxBytes.
func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a file", path)
	}
	if info.Size() > MaxBytes {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", path, info.Size(), MaxBytes)
	}
	return os.ReadFile(path)
}

// List names the pictures in a folder and its subfolders by their endings, relative to it, with slashes, in order. Links are
// not followed.
func List(dir string) ([]string, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file; name a folder", dir)
	}
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch strings.ToLower(path.Ext(name)) {
		case ".png", ".jpg", ".jpeg", ".gif":
			if entry.Type().IsRegular() {
				names = append(names, name)
			}
		}
		if len(names) > MaxFiles {
			return fmt.Errorf("more than %d pictures", MaxFiles)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no PNG, JPEG or GIF files there")
	}
	slices.Sort(names)
	return names, nil
}
