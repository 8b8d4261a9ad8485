package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"latent/pkg/backend"
)

// describeMachine tells what the figures were measured on, a line each.
func describeMachine() []string {
	lines := []string{fmt.Sprintf("processor: %s, %d cores", field("/proc/cpuinfo", "model name"), runtime.NumCPU())}
	var kilobytes float64
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%f", &kilobytes); err == nil {
		lines = append(lines, fmt.Sprintf("memory: %.0f GiB", kilobytes/(1<<20)))
	}
	lines = append(lines, fmt.Sprintf("system: %s/%s", runtime.GOOS, runtime.GOARCH))
	var load float64
	text, _ := os.ReadFile("/proc/loadavg")
	if _, err := fmt.Sscan(string(text), &load); err == nil {
		lines = append(lines, fmt.Sprintf("load by others in the minute before: %.1f cores", load))
	}
	return lines
}

// field is the first value of a key in one of Linux's files of "key: value" lines; "unknown" elsewhere.
func field(path, key string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// versions tells what was compared, a line each.
func (b *bench) versions() []string {
	latent := "Latent: " + runtime.Version()
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if strings.HasPrefix(module.Path, "github.com/gomlx/") {
				latent += fmt.Sprintf(", %s %s", module.Path[len("github.com/gomlx/"):], module.Version)
			}
		}
	}
	lines := []string{latent + ", XLA with `" + backend.CPUFlags + "`"}
	if b.peers {
		var pins []string
		for line := range strings.Lines(requirements) {
			if name, version, found := strings.Cut(strings.TrimSpace(line), "=="); found {
				pins = append(pins, name+" "+version)
			}
		}
		lines = append(lines, "peers: "+strings.Join(pins, ", "))
	}
	return lines
}
