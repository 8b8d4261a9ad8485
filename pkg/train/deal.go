package train

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"latent/pkg/cache"
	"latent/pkg/dataset"
	"latent/pkg/host"
)

// dealing says what is dealt out, in bytes; tests change it.
var dealing = struct {
	above  int64 // how many of a file's images are not read here and there; 0 is half of the machine's memory, up to which the system keeps them
	chunk  int   // a chunk, which is held in memory, has at least
	buffer int   // is collected of a chunk before it is written
}{0, 32 << 20, 64 << 10}

// A chunk has at most mostChunk bytes, and there are mostChunks of them where that allows.
const (
	mostChunk  = 256 << 20
	mostChunks = 512
)

// dealer gives a run the images of its epochs in their order. Images that lie far apart in a file larger than memory cost a look at the
// disk each. So they are read once an epoch in the order of the file, and written to a file of chunks, each to the one in which the epoch
// wants it; a chunk is read as a whole, and put in order in memory. While an epoch trains, the next one is dealt. The images, and so
// all bits, are those that reading here and there gives.
type dealer struct {
	images *dataset.Samples
	order  func(epoch int) []int32
	epochs int
	now    *deal
	next   chan *deal   // of the epoch after now's; nil where none is being made
	failed bool         // there is no room on the disk: images are read here and there
	ended  *atomic.Bool // the training was stopped, or is over
	work   sync.WaitGroup
}

// deals says whether images are dealt out.
func deals(images *dataset.Samples, devices int) bool {
	above := dealing.above
	if above == 0 {
		above = host.Available() / 2
	}
	bytes := int64(images.Len()) * int64(images.RowSize()*images.RowType().Size())
	return images.Places != nil && devices == 1 && above > 0 && bytes > above
}

// read puts n images of an epoch, from its place-th on, into rows. It says whether they could be dealt.
func (d *dealer) read(epoch, place, n int, rows []byte) (bool, error) {
	if d.failed {
		return false, nil
	}
	if d.now == nil || d.now.epoch != epoch {
		if err := d.turn(epoch); err != nil {
			if d.failed = !errors.Is(err, errEnded); d.failed {
				cache.Scattered(d.images.Values)
			}
			return false, nil
		}
	}
	return true, d.now.read(place, n, rows)
}

// turn makes an epoch's deal the one that is read, and begins that of the next epoch.
func (d *dealer) turn(epoch int) error {
	if d.now != nil {
		d.now.remove()
		d.now = nil
	}
	if d.next != nil {
		made := <-d.next
		d.next = nil
		if made != nil && made.epoch == epoch {
			d.now = made
		} else if made != nil {
			made.remove()
		}
	}
	if d.now == nil {
		made, err := d.make(epoch)
		if err != nil {
			return err
		}
		d.now = made
	}
	if epoch+1 < d.epochs {
		next := make(chan *deal, 1)
		d.next = next
		d.work.Go(func() {
			made, _ := d.make(epoch + 1) // what failed is tried again when its turn comes
			next <- made
		})
	}
	return nil
}

// close waits for what goes on, and removes what was dealt.
func (d *dealer) close() {
	d.work.Wait()
	if d.next != nil {
		if made := <-d.next; made != nil {
			made.remove()
		}
	}
	if d.now != nil {
		d.now.remove()
	}
}

// deal is the images of an epoch in a file without a name, which goes with the process.
type deal struct {
	epoch  int
	images *dataset.Samples
	order  []int32
	file   *os.File
	row    int     // bytes of an image
	each   int     // images of a chunk
	within []int32 // for each image of the file, its place within its chunk
	chunk  int     // the one in memory
	sorted []byte  // that one, in order
}

var errEnded = errors.New("the training has ended")

// make deals the images of an epoch.
func (d *dealer) make(epoch int) (made *deal, err error) {
	n, row := d.images.Len(), d.images.RowSize()*d.images.RowType().Size()
	chunk := min(max(dealing.chunk, n*row/mostChunks), mostChunk)
	m := &deal{epoch: epoch, images: d.images, order: d.order(epoch), row: row, each: max(1, chunk/row), within: make([]int32, n), chunk: -1}
	if m.file, err = unnamed(int64(n * row)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.remove()
		}
	}()
	place := make([]int32, n) // of each image in the epoch
	for p, i := range m.order[:n] {
		place[i] = int32(p)
	}
	chunks := (n + m.each - 1) / m.each
	buffers, filled := make([][]byte, chunks), make([]int, chunks)
	flush := func(c int) error {
		at := int64(c*m.each+filled[c])*int64(row) - int64(len(buffers[c]))
		_, err := m.file.WriteAt(buffers[c], at)
		buffers[c] = buffers[c][:0]
		return err
	}
	for i := range n {
		if d.ended.Load() {
			return nil, errEnded
		}
		c := int(place[i]) / m.each
		m.within[c*m.each+filled[c]] = place[i] % int32(m.each)
		filled[c]++
		if buffers[c] = append(buffers[c], d.images.Row(i).Bytes()...); len(buffers[c]) >= dealing.buffer {
			if err := flush(c); err != nil {
				return nil, err
			}
		}
	}
	for c := range chunks {
		if err := flush(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// unnamed opens a file beside the cache's that has no name any more, where the system allows that. It is an error where the disk would be left
// without room for as much again.
func unnamed(bytes int64) (*os.File, error) {
	c, err := cache.Default()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	if !c.Fits(2 * bytes) {
		return nil, errors.New("no space on the disk")
	}
	file, err := os.CreateTemp(c.Dir, ".dealt-*")
	if err == nil {
		os.Remove(file.Name()) // fails on Windows, where an open file keeps its name
	}
	return file, err
}

// remove gives back what the deal takes.
func (m *deal) remove() {
	m.file.Close()
	os.Remove(m.file.Name()) // where it has a name still
}

// read puts n images from the place-th on into rows. Those that pad the last batch are not dealt.
func (m *deal) read(place, n int, rows []byte) error {
	for k := range n {
		to := rows[k*m.row:][:m.row]
		at := place + k
		if at >= len(m.within) {
			copy(to, m.images.Row(int(m.order[at])).Bytes())
			continue
		}
		if c := at / m.each; c != m.chunk {
			if err := m.load(c); err != nil {
				return err
			}
		}
		copy(to, m.sorted[at%m.each*m.row:][:m.row])
	}
	return nil
}

// load reads a chunk, and puts it in order.
func (m *deal) load(c int) error {
	first := c * m.each
	count := min(m.each, len(m.within)-first)
	if m.sorted == nil {
		m.sorted = make([]byte, m.each*m.row)
	}
	part := make([]byte, max(1, (1<<20)/m.row)*m.row)
	for done := 0; done < count; {
		some := min(count-done, len(part)/m.row)
		if _, err := m.file.ReadAt(part[:some*m.row], int64(first+done)*int64(m.row)); err != nil {
			return err
		}
		for k := range some {
			copy(m.sorted[int(m.within[first+done+k])*m.row:][:m.row], part[k*m.row:])
		}
		done += some
	}
	m.chunk = c
	return nil
}
