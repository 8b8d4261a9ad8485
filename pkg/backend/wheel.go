package backend

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// wheel is a Python wheel with JAX's plugin for CUDA: what its list of files says of the plugin.
type wheel struct {
	name, version string // "jax-cuda13-pjrt", "0.11.2"
	plugin        file
}

func (w wheel) String() string { return w.name + " " + w.version }

// jaxInfo is the name of the folder in which such a wheel describes itself.
var jaxInfo = regexp.MustCompile(`^(jax_cuda\d+_pjrt)-(.+)\.dist-info$`)

// wheelAround finds the wheel that a plugin was unpacked from, where it lies among packages:
// FOLDER/jax_plugins/xla_cuda13/xla_cuda_plugin.so beside FOLDER/jax_cuda13_pjrt-0.11.2.dist-info.
func wheelAround(plugin string) (wheel, bool) {
	if filepath.Base(plugin) != jaxPluginName {
		return wheel{}, false
	}
	inside := filepath.Dir(plugin)
	folder := filepath.Dir(filepath.Dir(inside))
	member := path.Join("jax_plugins", filepath.Base(inside), jaxPluginName)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return wheel{}, false
	}
	for _, entry := range entries {
		if !jaxInfo.MatchString(entry.Name()) {
			continue
		}
		record, err := os.Open(filepath.Join(folder, entry.Name(), "RECORD"))
		if err != nil {
			continue
		}
		found, err := recorded(record, entry.Name(), member)
		record.Close()
		if err == nil {
			return found, true
		}
	}
	return wheel{}, false
}

// mostRecord bounds what is read of a wheel's list of files, which has a line for each.
const mostRecord = 1 << 20

// recorded reads what a wheel's RECORD says of a member. info is the name of the folder that RECORD is in.
//
// The format is that of PyPA's "Recording installed projects": path, "sha256=" with unpadded base64, size.
func recorded(record io.Reader, info, member string) (wheel, error) {
	parts := jaxInfo.FindStringSubmatch(info)
	if parts == nil {
		return wheel{}, fmt.Errorf("%s is not that of JAX's plugin for CUDA", info)
	}
	lines := csv.NewReader(io.LimitReader(record, mostRecord))
	lines.FieldsPerRecord = 3
	for {
		line, err := lines.Read()
		if err != nil {
			return wheel{}, fmt.Errorf("%s/RECORD: no %s: %w", info, member, err)
		}
		if line[0] != member {
			continue
		}
		encoded, isSHA256 := strings.CutPrefix(line[1], "sha256=")
		digest, err := base64.RawURLEncoding.DecodeString(encoded)
		size, sizeErr := strconv.ParseInt(line[2], 10, 64)
		if !isSHA256 || err != nil || sizeErr != nil {
			return wheel{}, fmt.Errorf("%s/RECORD: %s has no SHA-256 and size", info, member)
		}
		return wheel{strings.ReplaceAll(parts[1], "_", "-"), parts[2], file{hex.EncodeToString(digest), size}}, nil
	}
}

// mostPlugin bounds the plugin that is taken out of a wheel; those of 2026 have half of it.
const mostPlugin = 1 << 30

// installWheel takes JAX's plugin for CUDA out of a wheel and puts it into Latent's folder, laid out as pip does. It takes the
// place of one that was there. The wheel's own list of files must agree with what is in it.
func installWheel(dir, from string) (string, error) {
	if !strings.HasSuffix(from, ".whl") {
		return "", fmt.Errorf("install %s: want a wheel of jax-cuda13-pjrt or jax-cuda12-pjrt; to use a plugin file, set GOMLX_BACKEND=xla:/absolute/path", from)
	}
	archive, err := zip.OpenReader(from)
	if err != nil {
		return "", fmt.Errorf("install %s: %w", from, err)
	}
	defer archive.Close()
	var member, list *zip.File
	for _, f := range archive.File {
		switch parts := strings.Split(f.Name, "/"); {
		case jaxMember.MatchString(f.Name):
			member = f
		case len(parts) == 2 && parts[1] == "RECORD" && jaxInfo.MatchString(parts[0]):
			list = f
		}
	}
	if member == nil || list == nil {
		return "", fmt.Errorf("install %s: no plugin of JAX for CUDA inside; want a wheel of jax-cuda13-pjrt or jax-cuda12-pjrt", from)
	}
	record, err := content(list, mostRecord)
	if err != nil {
		return "", fmt.Errorf("install %s: %w", from, err)
	}
	info := path.Dir(list.Name)
	w, err := recorded(bytes.NewReader(record), info, member.Name)
	if err != nil {
		return "", fmt.Errorf("install %s: %w", from, err)
	}
	if w.plugin.size > mostPlugin {
		return "", fmt.Errorf("install %s: its plugin has %d bytes, more than the %d that are unpacked", from, w.plugin.size, mostPlugin)
	}

	unpacked, err := os.MkdirTemp(dir, ".part-*")
	if err != nil {
		return "", fmt.Errorf("install %s: %w", from, err)
	}
	defer os.RemoveAll(unpacked)
	for _, name := range []string{info, path.Dir(member.Name)} {
		if err := os.MkdirAll(filepath.Join(unpacked, name), 0o755); err != nil {
			return "", fmt.Errorf("install %s: %w", from, err)
		}
	}
	plugin := filepath.Join(unpacked, member.Name)
	err = replaceFile(plugin, 0o755, func(out io.Writer) error { return copyMember(out, member, w.plugin) })
	if err == nil {
		err = replaceFile(filepath.Join(unpacked, list.Name), 0o644, func(out io.Writer) error {
			_, err := out.Write(record)
			return err
		})
	}
	if err == nil {
		err = complete(plugin)
	}
	if err != nil {
		return "", fmt.Errorf("install %s: %w", from, err)
	}

	// What was there goes first: a folder cannot take the place of one that has files.
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("install %s: %w", from, err)
	}
	for _, entry := range entries {
		if entry.Name() == "jax_plugins" || jaxInfo.MatchString(entry.Name()) {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return "", fmt.Errorf("install %s: %w", from, err)
			}
		}
	}
	for _, name := range []string{info, "jax_plugins"} {
		if err := os.Rename(filepath.Join(unpacked, name), filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("install %s: %w", from, err)
		}
	}
	return filepath.Join(dir, member.Name), nil
}

// jaxMember is the name of the plugin in such a wheel.
var jaxMember = regexp.MustCompile(`^jax_plugins/xla_cuda\d+/` + regexp.QuoteMeta(jaxPluginName) + `$`)

// content returns what is in a file of an archive, which must not be larger than this.
func content(member *zip.File, most int64) ([]byte, error) {
	in, err := member.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s has more than %d bytes", member.Name, most)
	}
	return data, err
}
