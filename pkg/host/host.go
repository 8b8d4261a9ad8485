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
	"path"
	"slices"
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

// Available is the memory that this process may use, in bytes: the machine's, or what its control groups leave of it.
func Available() int64 {
	least := Memory()
	text, _ := os.ReadFile("/proc/self/cgroup") // lines of a hierarchy's number, its controllers and this process's group
	for line := range strings.Lines("0::/\n" + string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		root, name := "/sys/fs/cgroup", "memory.max"
		if slices.Contains(strings.Split(parts[1], ","), "memory") { // of version 1
			root, name = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			if limit := limitIn(path.Join(root, group, name)); limit > 0 && (least == 0 || limit < least) {
				least = limit
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}

// limitIn is the number in a file of one; 0 where there is none.
func limitIn(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	limit, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // 0 of "max"
	return limit
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
