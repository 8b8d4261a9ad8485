package train

import (
	"cmp"
	"sync"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/cache"
	"latent/pkg/dataset"
	"latent/pkg/random"
)

// onDevice puts images on a device, [images, size], in memory that host and device share where the device has such.
func onDevice(b compute.Backend, device int, images *dataset.Samples) (*tensors.Tensor, error) {
	size := images.RowSize()
	all, err := tensors.FromShapeForBackend(b, compute.DeviceNum(device), shapes.Make(images.RowType(), images.Len(), size))
	if err != nil {
		return nil, err
	}
	err = all.MutableBytes(func(bytes []byte) {
		for i := range images.Len() {
			image := images.Row(i).Bytes()
			copy(bytes[i*len(image):], image)
		}
	})
	return all, err
}

// stream gives the program the images of a window at a time, for training sets that do not lie on the device. While a window computes,
// the next one's are gathered and put on the device.
type stream struct {
	images  *dataset.Samples
	backend compute.Backend
	rows    int                 // of a window, on a device
	free    [][]*tensors.Tensor // for each device: those that no window needs at the moment
	made    []*tensors.Tensor   // all
	writing sync.WaitGroup      // gathering that goes on
	dealt   bool                // they are dealt out in the order of an epoch, and not read here and there
	dealers []*dealer           // one for each run
	ended   atomic.Bool         // dealing is to stop
}

// streamBytes is about how much of the images a window has at most.
const streamBytes = 16 << 20

// newStream returns a stream of windows of at most so many steps, with so many images each on a device, and how many steps they have.
func newStream(b compute.Backend, images *dataset.Samples, window, local, devices int) (*stream, int) {
	dealt := deals(images, devices)
	if images.Places != nil && !dealt {
		cache.Scattered(images.Values)
	}
	step := local * images.RowSize() * images.RowType().Size()
	window = min(window, max(1, streamBytes/step))
	return &stream{images: images, backend: b, rows: window * local, dealt: dealt}, window
}

// gathered are the images of a window that a run will have.
type gathered struct {
	first, steps int
	perDevice    []*tensors.Tensor
	err          error
	ready        chan struct{} // closed when the others can be read
}

// begin gathers the images of a run's steps from first on in the background, those of each device.
func (s *stream) begin(t *Trainer, first, steps int) *gathered {
	places := t.placesOf(first, steps)
	patches := t.seed.Child(streamPatch).Child(first / t.stepsPerEpoch)
	g := &gathered{first: first, steps: steps, ready: make(chan struct{})}
	if n := len(s.free); n > 0 {
		g.perDevice, s.free = s.free[n-1], s.free[:n-1]
	} else if g.perDevice, g.err = s.tensors(len(places)); g.err != nil {
		close(g.ready)
		return g
	}
	epoch, place := first/t.stepsPerEpoch, first%t.stepsPerEpoch*t.program.local()
	if s.dealt && t.dealer == nil {
		t.dealer = &dealer{images: s.images, order: t.permutation, epochs: (t.steps + t.stepsPerEpoch - 1) / t.stepsPerEpoch, ended: &s.ended}
		s.dealers = append(s.dealers, t.dealer)
	}
	s.writing.Go(func() {
		defer close(g.ready)
		for device, list := range places {
			rows := g.perDevice[device]
			var failure error
			g.err = rows.MutableBytes(func(bytes []byte) {
				done := false
				if t.dealer != nil {
					done, failure = t.dealer.read(epoch, place, len(list), bytes)
				}
				if !done {
					s.gather(list, patches, bytes)
				}
			})
			if g.err = cmp.Or(g.err, failure); g.err != nil {
				return
			}
			if g.err = rows.MaterializeOnDevice(s.backend, true, compute.DeviceNum(device)); g.err != nil {
				return
			}
		}
	})
	return g
}

// tensors returns one for a window on each device, in memory that host and device share where the device has such.
func (s *stream) tensors(devices int) ([]*tensors.Tensor, error) {
	var list []*tensors.Tensor
	for device := range devices {
		rows, err := tensors.FromShapeForBackend(s.backend, compute.DeviceNum(device), shapes.Make(s.images.RowType(), s.rows, s.images.RowSize()))
		if err != nil {
			return nil, err
		}
		list = append(list, rows)
	}
	s.made = append(s.made, list...)
	return list, nil
}

// readers is how many goroutines gather images: pages of a file that are not in memory are waited for together.
const readers = 4

// gather puts the images at places into rows, one after another. Where they are patches, the key of the epoch decides of which part.
func (s *stream) gather(places []int32, patches random.Seed, rows []byte) {
	if s.images.Places != nil {
		// A goroutine that waits for a page keeps a processor: all are asked for first, and the disk has them to do at once.
		for _, place := range places {
			cache.Ahead(s.images.At(int(place)))
		}
	}
	var group sync.WaitGroup
	for reader := range readers {
		group.Go(func() {
			for i := reader; i < len(places); i += readers {
				var image []byte
				if place := int(places[i]); s.images.Patches != nil {
					image = s.images.PatchRow(place, patches.Block(uint32(place), 0)).Bytes()
				} else {
					image = s.images.Row(place).Bytes()
				}
				copy(rows[i*len(image):], image)
			}
		})
	}
	group.Wait()
}

// placesOf are those of the images of a run's steps from first on, of each device.
func (t *Trainer) placesOf(first, steps int) [][]int32 {
	t.epochOrder(first / t.stepsPerEpoch)
	local := t.program.local()
	from := first % t.stepsPerEpoch * local
	var places [][]int32
	for _, order := range t.places {
		places = append(places, order[from:from+steps*local])
	}
	return places
}

// window returns the images of the run's next n steps, for each device, to be dropped after them.
func (s *stream) window(t *Trainer, n int) *gathered {
	g := t.next
	t.next = nil
	if g != nil {
		<-g.ready
	}
	if g == nil || g.first != t.step || g.steps < n {
		s.drop(g)
		g = s.begin(t, t.step, n)
		<-g.ready
	}
	return g
}

// ahead gathers the images of the window after the next n steps, about as many.
func (s *stream) ahead(t *Trainer, n, expected int) {
	first := t.step + n
	if first >= t.steps {
		return
	}
	steps := min(expected, t.stepsPerEpoch-first%t.stepsPerEpoch, t.steps-first, t.program.window)
	t.next = s.begin(t, first, steps)
}

// drop gives back the images of a window that is over, or that nobody needs.
func (s *stream) drop(g *gathered) {
	if g == nil {
		return
	}
	<-g.ready
	if g.err == nil {
		s.free = append(s.free, g.perDevice)
	}
}

// close frees all, once what goes on has ended.
func (s *stream) close() {
	s.ended.Store(true)
	s.writing.Wait()
	for _, d := range s.dealers {
		d.close()
	}
	for _, rows := range s.made {
		rows.FinalizeAll()
	}
}

// ready is how many steps the run's images have been gathered for; 0 of none.
func (t *Trainer) ready() int {
	if t.next == nil || t.next.first != t.step {
		return 0
	}
	return t.next.steps
}
