package dataset

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"latent/pkg/scale"
)

// IDX is a dataset of the MNIST family: 60,000 training and 10,000 test images, grey, of 28×28, in ten classes, in four IDX files.
//
// The files are read from Dir. Without it they are read from the folder in the environment variable LATENT_DATA_DIR, or its subfolder with
// the dataset's name; if that is not set, from the user's cache folder, and missing files are downloaded.
type IDX struct {
	// Dir is a folder with the four files, gzipped as published or unpacked; nothing is downloaded then. Empty reads from the folder in
	// LATENT_DATA_DIR, again without a download, or, if that is not set, from the user's cache folder.
	Dir string `yaml:"dir" path:"yes"`

	Networked `yaml:",inline"`

	Holdout `yaml:",inline"`

	family *family // set by Kinds
}

// family is what sets a dataset of the family apart.
type family struct {
	name    string
	classes []string
	mirrors []string // base URLs, tried in order
	files   [4]pin   // training images and labels, test images and labels
}

// pin is a file, its size in bytes, and its checksum.
type pin struct {
	name   string
	size   int64
	sha256 string // or "", where only an MD5 is published
	md5    string
}

// Their order in family.files.
const (
	trainImages = iota
	trainLabels
	testImages
	testLabels
)

func pins(sizes [4]int64, sha256s, md5s [4]string) (files [4]pin) {
	for i, name := range [4]string{"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"} {
		files[i] = pin{name: name, size: sizes[i], sha256: sha256s[i], md5: md5s[i]}
	}
	return files
}

// MNIST's checksums are the SHA-256 of the canonical files. For the others only MD5 sums are published, which are good
// against accidents, not against an attacker; they are from torchvision's sources. The sizes are those that the mirrors
// announce.
var (
	mnist = &family{
		name:    "mnist",
		classes: strings.Fields("0 1 2 3 4 5 6 7 8 9"),
		mirrors: []string{"https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"},
		files: pins([4]int64{9912422, 28881, 1648877, 4542}, [4]string{
			"440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
			"3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
			"8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
			"f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
		}, [4]string{}),
	}
	fashionMNIST = &family{
		name:    "fashion-mnist",
		classes: []string{"t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"},
		mirrors: []string{"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
		files: pins([4]int64{26421880, 29515, 4422102, 5148}, [4]string{}, [4]string{
			"8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
			"bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310",
		}),
	}
	kmnist = &family{
		name:    "kmnist",
		classes: []string{"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"},
		mirrors: []string{"http://codh.rois.ac.jp/kmnist/dataset/kmnist/"},
		files: pins([4]int64{18165135, 29497, 3041136, 5120}, [4]string{}, [4]string{
			"bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344",
			"5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134",
		}),
	}
)

// Every dataset of the family has this many images, of this size.
const (
	familyTrain = 60000
	familyTest  = 10000
	familySide  = 28
)

// familyValidation is how many training images are held out unless the config says otherwise: few enough to leave training
// as it is in the literature, which holds out none, and enough to choose an epoch by.
const familyValidation = 1000

func newIDX(f *family) *IDX { return &IDX{Holdout: holdout(familyValidation), family: f} }

// Check reports a holdout that leaves nothing to train on.
func (d *IDX) Check(report func(key, problem string)) {
	d.check(familyTrain, report)
	if len(d.Normal) > 0 {
		d.checkNormal(d.family.classes, report)
	}
	d.Features.check(d.ScaleOptions(), report)
}

// ScaleOptions is how features are scaled; of images, bytes as they are.
func (d *IDX) ScaleOptions() scale.Options { return d.Features.scale(scale.Options{}) }

// TrainImages is 60,000 less those held out, or 0 where only those of some classes are used.
func (d *IDX) TrainImages() int {
	if len(d.Normal) > 0 {
		return 0
	}
	return d.trainOf(familyTrain)
}

// dirVariable names the folder of datasets that need no network.
const dirVariable = "LATENT_DATA_DIR"

// Load reads the four files, and downloads them first where they are nowhere.
func (d *IDX) Load(ctx context.Context, options Options) (*Split, error) {
	dir, err := d.folder(ctx, options)
	if err != nil {
		return nil, err
	}
	split := &Split{Classes: d.family.classes, Checksums: map[string]string{}}
	var files [4][]byte
	for i, pin := range d.family.files {
		name, data, err := pin.read(dir)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", d.family.name, err)
		}
		split.Checksums[name] = sum(data)
		files[i] = data
	}
	train, err := d.family.images(files[trainImages], files[trainLabels], familyTrain)
	if err != nil {
		return nil, fmt.Errorf("read %s in %s: training %w", d.family.name, dir, err)
	}
	if split.Test, err = d.family.images(files[testImages], files[testLabels], familyTest); err != nil {
		return nil, fmt.Errorf("read %s in %s: test %w", d.family.name, dir, err)
	}
	if split.Network, err = d.Features.apply(ctx, options, d.family.name, split.Checksums, &train, &split.Test); err != nil {
		return nil, err
	}
	if err := d.divide(split, train, d.shuffled(familyTrain)); err != nil {
		return nil, err
	}
	return split, d.Features.rescale(split)
}

// images joins a file of images and one of labels, which must have n images of the family's size. Only unpacked files,
// which have no published checksum, can fail here.
func (f *family) images(imageFile, labelFile []byte, n int) (*Samples, error) {
	images, err := readIDXImages(imageFile, labelFile, len(f.classes))
	if err == nil && (images.Len() != n || images.Height != familySide || images.Width != familySide) {
		err = fmt.Errorf("images: %d of %d×%d instead of %d of %[5]d×%[5]d", images.Len(), images.Height, images.Width, n, familySide)
	}
	return images, err
}

// folder is where the files lie, after a download if need be.
func (d *IDX) folder(ctx context.Context, options Options) (string, error) {
	if d.Dir != "" {
		return d.Dir, nil
	}
	if root := os.Getenv(dirVariable); root != "" {
		dir := filepath.Join(root, d.family.name)
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir, nil
		}
		// Only a published file tells by its checksum whose it is, so unpacked ones need a folder of the dataset's name.
		published := d.family.files[trainImages].name
		if _, err := os.Stat(filepath.Join(root, published)); err != nil {
			return "", fmt.Errorf("find %s: %s is %s, which contains neither a folder %[1]s nor %[4]s; put its files there, set data.dir, or unset %[2]s to download them",
				d.family.name, dirVariable, root, published)
		}
		return root, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder for %s: %w; set data.dir or %s", d.family.name, err, dirVariable)
	}
	dir := filepath.Join(cache, "latent", "datasets", d.family.name)
	return dir, fetcher{d.family, dir, options.Progress, patience}.fetch(ctx)
}

// read returns the file's name and contents, gzipped as published or, where that is missing, unpacked.
func (p pin) read(dir string) (name string, data []byte, err error) {
	path := filepath.Join(dir, p.name)
	data, err = readBounded(path, maxIDXBytes)
	if errors.Is(err, fs.ErrNotExist) {
		plain := strings.TrimSuffix(p.name, ".gz")
		data, err = readBounded(filepath.Join(dir, plain), maxIDXBytes)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s is missing, and so is the unpacked %s: %w", path, plain, fs.ErrNotExist)
		}
		return plain, data, err
	}
	if err != nil {
		return "", nil, err
	}
	if err := p.check(data); err != nil {
		return "", nil, fmt.Errorf("%s: %w: it is truncated, modified or from another dataset; put the published file there", path, err)
	}
	return p.name, data, nil
}

// check compares the file with what is published of it.
func (p pin) check(data []byte) error {
	kind, got, want := "SHA-256", sum(data), p.sha256
	if p.sha256 == "" {
		digest := md5.Sum(data)
		kind, got, want = "MD5", hex.EncodeToString(digest[:]), p.md5
	}
	if got != want || int64(len(data)) != p.size {
		return fmt.Errorf("%d bytes with %s %s instead of %d with %s", len(data), kind, got, p.size, want)
	}
	return nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes; the limit is %d", path, info.Size(), limit)
	}
	return os.ReadFile(path)
}
