// Package host tells of the machine that a process runs on, as far as Linux does.
//
//	fmt.Println(host.Processor(), host.Memory()) // "AMD EPYC", bytes
//
// Promised: what the system does not tell is "" or 0, and never an error.
//
// What is not here: GPUs (pkg/backend).
package host

import (
	"os"
	"strconv"
	"strings"
)

// Processor is the processor's name.
func Processor() string { return Field("/proc/cpuinfo", "model name") }

// Memory is the machine's memory, in bytes.
func Memory() int64 {
	kibibytes, err := strconv.ParseInt(strings.TrimSuffix(Field("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kibibytes << 10
}

// Available is the memory that this process may use, in bytes: the machine's, or what its control group leaves of it.
func Available() int64 {
	total := Memory()
	text, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return total
	}
	if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && (total == 0 || limit < total) {
		return limit
	}
	return total
}

// Field is the first value of a key in one of Linux's files of "key: value" lines.
func Field(path, key string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
