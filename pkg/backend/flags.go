package backend

// CUDAFlags are the XLA flags that Open sets for a CUDA plugin where the environment has no XLA_FLAGS of its own, beside where
// CUDA's assembler is.
//
// A GPU sums with atomic operations, and chooses among its kernels by timing them, unless it is told that the same program must
// give the same bits. XLA then leaves Triton's kernels for matrix products out, but from JAX 0.11 on still gathers products for
// them, with what stands before, which are to be taken apart again for cuBLAS: with Triton off it does not begin. The price is
// the faster of two kernels here and there; docs/backends.md has what else there is, and what each was measured to do.
const CUDAFlags = "--xla_gpu_deterministic_ops=true --xla_gpu_enable_triton_gemm=false"

// Variant is a choice of XLA flags to be measured beside another.
type Variant struct {
	// Name is a word for tables, Flags the whole of XLA_FLAGS, Why what the variant shows.
	Name, Flags, Why string
}

// CUDAVariants are the flags that may matter to a compiled training loop on a GPU, Latent's own first. JAX's plugins 0.10 to
// 0.12 know each of them: one that a plugin does not know ends the process.
var CUDAVariants = []Variant{
	{"latent", CUDAFlags, "what Latent sets: the same program gives the same bits"},
	{"xla", "--xla_gpu_deterministic_ops=false", "XLA's own choice, timed on the device: Triton's kernels, sums in any order"},
	{"cublas", "--xla_gpu_enable_triton_gemm=false", "sums in any order, products by cuBLAS: with xla, what Triton is worth; with latent, what determinism costs"},
	{"timed", "--xla_gpu_exclude_nondeterministic_ops=true --xla_gpu_enable_triton_gemm=false", "kernels that repeat their bits, but the fastest of them by time: two processes may choose differently"},
	{"while", CUDAFlags + " --xla_gpu_enable_command_buffer=+WHILE", "the whole loop as one CUDA graph: the device decides whether to go on, and the host is not asked after each step"},
	{"unrolled", CUDAFlags + " --xla_gpu_enable_command_buffer=+WHILE --xla_gpu_command_buffer_unroll_loops=true", "the same where XLA knows the number of steps; Latent's windows are not of that kind"},
	{"kernels", CUDAFlags + " --xla_gpu_enable_command_buffer=", "no CUDA graphs: each kernel of a step launched by the host"},
	{"concurrent", CUDAFlags + " --xla_gpu_command_buffer_scheduling_mode=CONCURRENT", "a graph's kernels side by side where they do not need each other: small models, several runs"},
	{"untimed", "--xla_gpu_autotune_level=0", "XLA's own choice without timing: compiles sooner"},
}
