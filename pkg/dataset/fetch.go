package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/schollz/progressbar/v3"
)

// maxDownload bounds a download; the largest file of the family has about 31 MB. Where only an MD5 is published, no size is
// either, and this bound stands in for it.
const maxDownload = 64 << 20

// client gives up on a mirror that does not answer, but lets a slow download go on.
var client = &http.Client{Transport: &http.Transport{
	Proxy:                 http.ProxyFromEnvironment,
	ResponseHeaderTimeout: 20 * time.Second,
	TLSHandshakeTimeout:   10 * time.Second,
}}

// fetch puts the files that are not yet in dir there, one process at a time.
func fetch(ctx context.Context, f *family, dir string, progress io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make a place for %s: %w; set data.dir or %s to a folder with its files", f.name, err, dirVariable)
	}
	lock := flock.New(filepath.Join(dir, ".lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another download of %s: %w", f.name, err)
	}
	defer lock.Unlock()
	for _, pin := range f.files {
		if _, _, err := pin.read(dir); err == nil {
			continue
		}
		if err := pin.fetch(ctx, f.mirrors, dir, progress); err != nil {
			return fmt.Errorf("download %s: %w\nwithout a network, set data.dir or %s to a folder with %s",
				f.name, err, dirVariable, pin.name)
		}
	}
	return nil
}

// fetch tries one mirror after the other.
func (p pin) fetch(ctx context.Context, mirrors []string, dir string, progress io.Writer) error {
	var failures []error
	for _, mirror := range mirrors {
		err := p.fetchFrom(ctx, mirror+p.name, filepath.Join(dir, p.name), progress)
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("%s%s: %w", mirror, p.name, err))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failures...)
}

// fetchFrom downloads, checks, and only then gives the file its name.
func (p pin) fetchFrom(ctx context.Context, url, path string, progress io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	body := io.Reader(response.Body)
	if progress != nil {
		bar := progressbar.NewOptions64(response.ContentLength, progressbar.OptionSetWriter(progress),
			progressbar.OptionSetDescription(p.name), progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(24),
			progressbar.OptionOnCompletion(func() { fmt.Fprintln(progress) }))
		defer bar.Close()
		body = io.TeeReader(body, bar)
	}
	data, err := io.ReadAll(io.LimitReader(body, maxDownload+1))
	if err != nil {
		return err
	}
	if len(data) > maxDownload {
		return fmt.Errorf("more than %d bytes", maxDownload)
	}
	if err := p.check(data); err != nil {
		return err
	}
	return writeFile(path, data)
}

// writeFile writes a file whole or not at all.
func writeFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(data); err != nil {
		file.Close()
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
