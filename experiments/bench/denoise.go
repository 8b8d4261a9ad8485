package main

import "context"

// denoise compares reconstructing images with weights that all contestants read from the same files.
func (b *bench) denoise(ctx context.Context) (result, error) {
	contestants := []contestant{b.worker()}
	if b.has("torch") {
		contestants = append(contestants, b.torch("PyTorch", "eager"))
	}
	if b.has("onnx", "onnxruntime") {
		contestants = append(contestants, b.peer("onnxruntime", "peer_onnx.py"))
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
			entries = append(entries, asking(p.name, p.ask, request{Task: "denoise", Folder: b.temp, Images: 10000, Batch: 1000, Passes: 10}))
		}
		all, err = b.alternate(ctx, entries, exactly)
		return err
	})
	if err != nil {
		return result{}, err
	}
	return result{
		races: []race{{series: all}},
		notes: []string{"The noisy test images, float32 in host memory, pass through one trained model and back to host memory, 1,000 at a " +
			"time. All contestants use the same images and weights. The loss is the mean squared error against the clean images."},
		tables: []table{compare(all, seconds("%.4f")).withLosses(all)},
	}, nil
}
