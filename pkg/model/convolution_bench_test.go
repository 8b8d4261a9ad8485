package model

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend/backendtest"
)

// BenchmarkConvolution is a convolution with both its gradients in a loop of the graph, as training runs it, by GoMLX's
// gradients and by those here. cpu-ms is processor time, over all cores: it says more than the time on a busy machine.
func BenchmarkConvolution(b *testing.B) {
	xla := backendtest.XLA(b)
	const batch, turns = 128, 4
	for _, c := range []struct{ size, kernel, stride, in, out int }{
		{28, 3, 1, 24, 24}, {28, 3, 1, 48, 24}, {14, 3, 1, 48, 48}, {7, 3, 1, 96, 96}, {14, 4, 2, 24, 48},
	} {
		for _, who := range []string{"gomlx", "here"} {
			b.Run(fmt.Sprintf("%dx%d/kernel=%d/stride=%d/%d-%d/%s", c.size, c.size, c.kernel, c.stride, c.in, c.out, who), func(b *testing.B) {
				exec, err := NewExec(xla.Compute, loop(func(x, w, dy *Node) (dx, dw, y *Node) {
					if who == "here" {
						y = Convolution(x, w, c.stride)
					} else {
						_, before, after := frame(c.size, c.kernel, c.stride)
						y = Convolve(x, w).StridePerAxis(c.stride, c.stride).PaddingPerDim([][2]int{{before, after}, {before, after}}).Done()
					}
					gradients := Gradient(ReduceAllSum(Mul(y, dy)), x, w)
					return gradients[0], gradients[1], y
				}))
				if err != nil {
					b.Fatal(err)
				}
				to := c.size / c.stride
				call := func() {
					outputs, err := exec.Call(int32(turns), uniform(1, batch, c.size, c.size, c.in),
						uniform(2, c.kernel, c.kernel, c.in, c.out), uniform(3, batch, to, to, c.out))
					if err != nil {
						b.Fatal(err)
					}
					tensors.MustCopyFlatData[float32](outputs[2]) // Waits for the device.
				}
				call()
				start, calls := processorTime(), 0
				for b.Loop() {
					call()
					calls++
				}
				b.ReportMetric((processorTime()-start)/float64(turns*calls), "cpu-ms")
				b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(turns*calls), "ms")
			})
		}
	}
}

// loop runs f so many times in the graph, each time on what the last made a little different, so that nothing is computed
// once for all.
func loop(f func(x, w, dy *Node) (dx, dw, y *Node)) func(turns, x, w, dy *Node) []*Node {
	return func(turns, x, w, dy *Node) []*Node {
		start := []*Node{turns, x, w, dy}
		parameters := func(g *Graph) []*Node {
			nodes := make([]*Node, len(start))
			for i, node := range start {
				nodes[i] = Parameter(g, "", node.Shape())
			}
			return nodes
		}
		more := NewClosure(x.Graph(), func(g *Graph) []*Node {
			return []*Node{GreaterThan(parameters(g)[0], Scalar(g, dtypes.Int32, 0))}
		})
		body := NewClosure(x.Graph(), func(g *Graph) []*Node {
			p := parameters(g)
			dx, dw, y := f(p[1], p[2], p[3])
			next := func(value, change *Node) *Node { return Add(value, MulScalar(change, 1e-6)) }
			return []*Node{AddScalar(p[0], -1), next(p[1], dx), next(p[2], dw), next(p[3], y)}
		})
		return While(more, body, start...)
	}
}

// processorTime is the process's so far, in milliseconds.
func processorTime() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	of := func(t syscall.Timeval) float64 { return float64(t.Sec)*1e3 + float64(t.Usec)/1e3 }
	return of(usage.Utime) + of(usage.Stime)
}
