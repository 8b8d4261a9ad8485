// Package picture reads picture files that may be damaged, huge or hostile, and writes PNG, JPEG and TIFF files.
//
//	p, err := picture.Read("photo.jpg") // PNG, JPEG, GIF, WebP, BMP or TIFF (the first frame or page), upright
//	f, err := picture.Open("stack.tif") // for every page, and for floats and other channels
//	a, err := f.Array(3)                // f.Frames() says what they are
//	m, err := f.Metadata(3)             // colour profile, density, EXIF
//	w, err := picture.NewWriter(out, "tiff", f.Bytes())
//	err = w.Add(a, m)
//
// Promised: a file is read only if it is a regular file of at most [MaxBytes] (TIFF files, of which a page at a time is read, may be
// larger), and unpacked only if it says that it has at most [MaxPixels]; every error names the file; the orientation that a camera
// wrote beside the picture is applied.
//
// What is not here: scaling to a model's size (pkg/dataset) and the models' work (pkg/restore).
package picture

import (
	"cmp"
	"fmt"
	"image"
	"io/fs"
	"maps"
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

// formats are those that are read.
const formats = "PNG, JPEG, GIF, WebP, BMP or TIFF"

// endings are those of the files that List takes for pictures.
var endings = []string{".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"}

// Endings returns the ends of the names of files that List takes for pictures.
func Endings() []string { return slices.Clone(endings) }

// Is says whether a file's name is one of a picture. Reading goes by what is in a file, whatever its name.
func Is(name string) bool { return slices.Contains(endings, strings.ToLower(path.Ext(name))) }

// Picture is a picture and the file that it came from.
type Picture struct {
	image.Image
	SHA256 string // of the file
}

// Read reads the first picture of a file as Open does.
func Read(path string) (Picture, error) {
	f, err := Open(path)
	if err != nil {
		return Picture{}, err
	}
	defer f.Close()
	decoded, err := f.Image(0)
	if err != nil {
		return Picture{}, err
	}
	sum, err := f.SHA256()
	if err != nil {
		return Picture{}, err
	}
	return Picture{Image: decoded, SHA256: sum}, nil
}

// List names the pictures in a folder and its subfolders by their endings, relative to it, with slashes, in order, and counts
// the other files by theirs ("" for those without). Links are not followed, and hidden files not counted.
func List(dir string) (names []string, others map[string]int, err error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, nil, err
	} else if !info.IsDir() {
		return nil, nil, fmt.Errorf("%s is a file; name a folder", dir)
	}
	others = map[string]int{}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		if Is(name) {
			names = append(names, name)
		} else if !strings.HasPrefix(entry.Name(), ".") {
			others[strings.ToLower(path.Ext(name))]++
		}
		if len(names) > MaxFiles {
			return fmt.Errorf("more than %d pictures", MaxFiles)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if len(names) == 0 {
		cure := ""
		if others[".npy"]+others[".npz"] > 0 {
			cure = "; save arrays as TIFF files, which hold floats too (in Python: tifffile.imwrite(\"a.tif\", np.load(\"a.npy\"))), " +
				"or as one array [picture, height, width] for data.dataset: table"
		}
		return nil, nil, fmt.Errorf("no %s files there%s%s", formats, Others(others, "; found: "), cure)
	}
	slices.Sort(names)
	return names, others, nil
}

// endingsShown is how many endings Others names.
const endingsShown = 10

// Others says how many files of each ending there are, the most frequent first, behind an introduction: "left out: 3 .heic, 1 .psd"; ""
// where there are none.
func Others(counts map[string]int, introduction string) string {
	endings := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) })
	var words []string
	for _, ending := range endings[:min(len(endings), endingsShown)] {
		words = append(words, fmt.Sprintf("%d %s", counts[ending], cmp.Or(ending, "without an extension")))
	}
	if words == nil {
		return ""
	}
	if more := len(endings) - endingsShown; more > 0 {
		words = append(words, fmt.Sprintf("and files with %d other extensions", more))
	}
	return introduction + strings.Join(words, ", ")
}
