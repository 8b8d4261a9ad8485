package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"latent/pkg/cache"
)

// version is that of the code that decodes samples: an entry of the cache by another is not used.
const version = 1

// slot is the place in the cache for the decoded samples of files.
type slot struct {
	cache cache.Cache
	key   string
	now   func() (key string, err error) // by the files as they are now
}

// slotOf returns that of files: by the keys of the config that decide the values, and each file's name, size and times of change. It is
// not by checksums, for which all would have to be read.
func slotOf(kind string, options any, files []file) (s slot, err error) {
	s.now = func() (string, error) {
		type source struct {
			Name    string
			Size    int64
			Changed [2]int64
		}
		var sources []source
		for _, f := range files {
			info, err := os.Stat(f.path)
			if err != nil {
				return "", err
			}
			sources = append(sources, source{fmt.Sprintf("%q", f.name), info.Size(), [2]int64{info.ModTime().UnixNano(), changedAt(info)}})
		}
		return cache.Key(kind, version, options, sources), nil
	}
	if s.cache, err = cache.Default(); err == nil {
		s.key, err = s.now()
	}
	return s, err
}

// about is what an entry of the cache says beside the values.
type about struct {
	Height, Width, Channels int
	Features                []string `json:",omitempty"`
	Contents                json.RawMessage
}

// stored returns the samples that lie there, and fills contents with what was kept beside them; nil where there are none.
func (s slot) stored(contents any) (*Samples, error) {
	entry, err := s.cache.Open(s.key)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, cache.ErrDamaged) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return entrySamples(entry, contents)
}

func entrySamples(entry *cache.Entry, contents any) (*Samples, error) {
	var a about
	err := entry.Meta(&a)
	if err == nil {
		err = json.Unmarshal(a.Contents, contents)
	}
	s := &Samples{Height: a.Height, Width: a.Width, Channels: a.Channels, Features: a.Features, Values: entry.Values}
	if err != nil || s.Size() <= 0 || entry.Values.Len()%s.Size() != 0 {
		entry.Close()
		return nil, fmt.Errorf("cache entry %s: does not contain samples; remove it with latent data cache clear %[1]s", entry.Key)
	}
	s.Places = make([]int32, entry.Values.Len()/s.Size())
	for i := range s.Places {
		s.Places[i] = int32(i)
	}
	return s, nil
}

// commit makes an entry of what was decoded and written, and returns its samples. of says what that was, in an error and for people.
func (s slot) commit(w *cache.Writer, of, title string, like *Samples, contents any) (*Samples, error) {
	if now, err := s.now(); err != nil || now != s.key {
		return nil, fmt.Errorf("read %s: files changed while they were being read; try again", of)
	}
	kept, err := json.Marshal(contents)
	if err != nil {
		return nil, err
	}
	entry, err := w.Commit(title, about{like.Height, like.Width, like.Channels, like.Features, kept})
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", of, err)
	}
	return entrySamples(entry, contents)
}

// mostStreamed is how many samples places can tell apart.
const mostStreamed = 1<<31 - 1
