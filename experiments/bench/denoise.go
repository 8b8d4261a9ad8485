package main

import "context"

// exactly is the tolerance for losses of the same weights and images: rounding.
const exactly = 1e-4

// denoise compares reconstructing images with weights that all contestants read from the same files.
func (b *bench) denoise(ctx context.Context) (result, error) {
	contestants := []contestant{b.worker()}
	if b.peers {
		contestants = append(contestants, b.peer("PyTorch", "peer_torch.py", "eager"), b.peer("onnxruntime", "peer_onnx.py"))
	}
	var all []series
	err := together(ctx, contestants, func(processes []*process) (err error) {
		export := b.seed()
		export.Task, export.Seed, export.Folder = "export", 1, b.temp
		if _, err := processes[0].ask(export); err != nil {
			return err
		}
		var entries []entry
		for _, p := range processes {
			entries = append(entries, asking(p, request{Task: "denoise", Folder: b.temp}))
		}
		all, err = b.alternate(ctx, entries, exactly)
		return err
	})
	if err != nil {
		return result{}, err
	}
	return result{
		notes: []string{"The test images with noise, float32 in the host's memory, through one trained model to the host's memory, " +
			"1,000 at a time. All read the same images and weights; the loss is the mean squared error against the clean images."},
		tables: []table{compare(all, "s", "%.4f", series.seconds).withLosses(all)},
	}, nil
}
