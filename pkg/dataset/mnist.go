package dataset

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// IDX is a dataset of the MNIST family: 60,000 and 10,000 grey images of 28×28 in ten classes, in four IDX files.
//
// The files are read from Dir, or else from the folder that the environment variable LATENT_DATA_DIR names, or its
// subfolder of the dataset's name; else from the user's cache folder, after a download where they are missing.
type IDX struct {
	// Dir is a folder with the four files, gzipped or not; nothing is downloaded then. Empty looks in LATENT_DATA_DIR,
	// then in the user's cache folder.
	Dir string `yaml:"dir"`

	Holdout `yaml:",inline"`

	family *family
}

// family is what sets a dataset of the family apart.
type family struct {
	name    string
	classes []string
	mirrors []string // base URLs, tried in order
	files   [4]pin   // training images and labels, test images and labels
}

// pin is a file and the checksum that is published for it.
type pin struct {
	name   string
	sha256 string // or "", where none is published
	md5    string
}

// Their order in family.files.
const (
	trainImages = iota
	trainLabels
	testImages
	testLabels
)

func pins(sha256s, md5s [4]string) (files [4]pin) {
	for i, name := range [4]string{"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"} {
		files[i] = pin{name: name, sha256: sha256s[i], md5: md5s[i]}
	}
	return files
}

// The checksums are those that torchvision's sources publish (MD5: good against accidents, not against an attacker), and
// for MNIST the SHA-256 of the canonical files.
var (
	mnist = &family{
		name:    "mnist",
		classes: strings.Fields("0 1 2 3 4 5 6 7 8 9"),
		mirrors: []string{"https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"},
		files: pins([4]string{
			"440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
			"3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
			"8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
			"f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
		}, [4]string{
			"f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
			"9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c",
		}),
	}
	fashionMNIST = &family{
		name:    "fashion-mnist",
		classes: []string{"t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"},
		mirrors: []string{"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
		files: pins([4]string{}, [4]string{
			"8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
			"bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310",
		}),
	}
	kmnist = &family{
		name:    "kmnist",
		classes: []string{"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"},
		mirrors: []string{"http://codh.rois.ac.jp/kmnist/dataset/kmnist/"},
		files: pins([4]string{}, [4]string{
			"bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344",
			"5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134",
		}),
	}
)

// familyTrain is the number of training images in each dataset of the family.
const familyTrain = 60000

// familyValidation is how many training images are held out unless the config says otherwise: few enough to leave training
// as it is in the literature, which holds out none, and enough to choose an epoch by.
const familyValidation = 1000

func newIDX(f *family) *IDX { return &IDX{Holdout: Holdout{Validation: familyValidation}, family: f} }

// TrainImages is 60,000 less those held out.
func (d *IDX) TrainImages() int { return d.trainOf(familyTrain) }

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
	all, err := readIDXImages(files[trainImages], files[trainLabels], len(d.family.classes))
	if err != nil {
		return nil, fmt.Errorf("read %s in %s: training %w", d.family.name, dir, err)
	}
	if split.Test, err = readIDXImages(files[testImages], files[testLabels], len(d.family.classes)); err != nil {
		return nil, fmt.Errorf("read %s in %s: test %w", d.family.name, dir, err)
	}
	if split.Test.Size() != all.Size() {
		return nil, fmt.Errorf("read %s in %s: test images are %d×%d, training images %d×%d",
			d.family.name, dir, split.Test.Height, split.Test.Width, all.Height, all.Width)
	}
	split.Train, split.Validation, err = d.split(all)
	return split, err
}

// folder is where the files lie, after a download if need be.
func (d *IDX) folder(ctx context.Context, options Options) (string, error) {
	if d.Dir != "" {
		return d.Dir, nil
	}
	if root := os.Getenv(dirVariable); root != "" {
		for _, dir := range []string{filepath.Join(root, d.family.name), root} {
			if _, _, err := d.family.files[trainImages].read(dir); err == nil {
				return dir, nil
			}
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder for %s: %w; set data.dir or %s", d.family.name, err, dirVariable)
	}
	dir := filepath.Join(cache, "latent", "datasets", d.family.name)
	if err := fetch(ctx, d.family, dir, options.Progress); err != nil {
		return "", err
	}
	return dir, nil
}

// read returns the file's name and contents, gzipped as published or unpacked.
func (p pin) read(dir string) (name string, data []byte, err error) {
	path := filepath.Join(dir, p.name)
	data, err = readBounded(path, maxIDXBytes)
	if err == nil {
		if err := p.check(data); err != nil {
			return "", nil, fmt.Errorf("%s: %w; it was cut off or changed, or belongs to another dataset: download it anew", path, err)
		}
		return p.name, data, nil
	}
	plain := strings.TrimSuffix(p.name, ".gz")
	if data, plainErr := readBounded(filepath.Join(dir, plain), maxIDXBytes); plainErr == nil {
		return plain, data, nil
	}
	return "", nil, err
}

// check compares the file with its published checksum.
func (p pin) check(data []byte) error {
	if p.sha256 != "" {
		if got := sum(data); got != p.sha256 {
			return fmt.Errorf("SHA-256 %s, want %s", got, p.sha256)
		}
		return nil
	}
	digest := md5.Sum(data)
	if got := hex.EncodeToString(digest[:]); got != p.md5 {
		return fmt.Errorf("MD5 %s, want %s", got, p.md5)
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
		return nil, fmt.Errorf("%s: not a file", path)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", path, info.Size(), limit)
	}
	return os.ReadFile(path)
}
