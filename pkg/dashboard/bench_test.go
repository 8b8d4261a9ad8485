package dashboard

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"latent/pkg/config"
	"latent/pkg/rundir"
)

// BenchmarkDashboard measures what a reader waits for, over 10,000 runs with 500 records each:
//
//	go test ./pkg/dashboard -run '^$' -bench Dashboard -benchtime 5x
func BenchmarkDashboard(b *testing.B) {
	root, file := b.TempDir(), filepath.Join(b.TempDir(), "index.db")
	manyRuns(b, root, 10000, 500)
	options := Options{Roots: []string{root}, Index: file}
	b.Run("first page without an index", func(b *testing.B) {
		for b.Loop() {
			s, err := New(Options{Roots: []string{root}})
			if err != nil {
				b.Fatal(err)
			}
			s.index.refresh(b.Context())
			want(b, s, "/")
			s.Close()
		}
	})
	s := server(b, options)
	s.Close()
	b.Run("first page", func(b *testing.B) {
		for b.Loop() {
			s, err := New(options)
			if err != nil {
				b.Fatal(err)
			}
			want(b, s, "/")
			s.Close()
		}
	})
	s = server(b, options)
	rows, _ := s.index.all()
	key := rows[5000].Key
	compared := "/compare?"
	for _, row := range rows[:100] {
		compared += "run=" + row.Key + "&"
	}
	for name, address := range map[string]string{
		"runs": "/", "sorted": "/?sort=train.learning_rate", "filtered": "/?where=name+==+%22name-7%22+%26%26+train.learning_rate+%3E+0.0015", "run": "/run/" + key, "compare 100": compared,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				want(b, s, address)
			}
		})
	}
	b.Run("curves of 100", func(b *testing.B) {
		for b.Loop() {
			s.curves = curveCache{}
			for _, row := range rows[:100] {
				want(b, s, "/curves/"+row.Key)
			}
		}
	})
	b.Run("look for changes", func(b *testing.B) {
		for b.Loop() {
			s.index.refresh(b.Context())
		}
	})
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	b.Logf("heap in use: %d MiB", memory.HeapInuse>>20)
}

func want(b *testing.B, s *Server, address string) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", address, nil))
	if w.Code != 200 {
		b.Fatalf("%s: %d %s", address, w.Code, w.Body)
	}
}

// manyRuns makes runs of ten names, with configs of their own, so many windows each and an epoch for each fifty of them.
func manyRuns(b *testing.B, root string, count, windows int) {
	var records bytes.Buffer
	for i := range windows {
		fmt.Fprintf(&records, `{"kind":"window","step":%d,"epoch":%d,"loss":%g,"learning_rate":0.001,"images_per_second":50000,"time":"2026-11-24T10:15:30Z"}`+"\n", i+1, i/50+1, 1/float64(i+1))
		if i%50 == 49 {
			fmt.Fprintf(&records, `{"kind":"epoch","epoch":%d,"step":%d,"seconds":2,"train_loss":%g,"learning_rate":0.001,"val_loss":%g,"val_psnr":20}`+"\n", i/50+1, i+1, 1/float64(i+1), 1.1/float64(i+1))
		}
	}
	for i := range count {
		name := fmt.Sprintf("name-%d", i%10)
		run, err := rundir.CreateAt(filepath.Join(root, name, fmt.Sprintf("2026-11-24T10-15-30-%05d", i)), true)
		if err != nil {
			b.Fatal(err)
		}
		e, err := config.Parse("test.yaml", []byte("name: "+name), fmt.Sprintf("seed=%d", i), fmt.Sprintf("train.learning_rate=%g", 0.001*(1+float64(i)/1e4)))
		if err != nil {
			b.Fatal(err)
		}
		yaml, err := e.YAML()
		if err != nil {
			b.Fatal(err)
		}
		m := rundir.NewManifest()
		m.Name, m.State, m.Seed, m.ConfigSHA256, m.Started = name, rundir.Done, int64(i), "x", time.Unix(int64(1.7e9)+int64(i), 0)
		for j := range 7 {
			m.Model.Layers = append(m.Model.Layers, rundir.Layer{Name: fmt.Sprint("encoder.layer_", j), Description: "dense 784 → 256, relu", Parameters: 200960})
		}
		m.Result.Test = map[string]rundir.Number{"psnr": rundir.Number(20 + float64(i)/1e4), "mse": 0.03}
		run.Relaxed = true
		for _, err := range []error{
			os.WriteFile(filepath.Join(run.Path, "config.yaml"), yaml, 0o644), os.WriteFile(filepath.Join(run.Path, "metrics.jsonl"), records.Bytes(), 0o644), run.WriteManifest(m), run.Close(),
		} {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
