// Package smalldisk gives a test a small disk of its own, to fill up and to make read-only.
//
//	smalldisk.Run(t, 1<<20, func(t *testing.T, disk smalldisk.Disk) {
//		… write to disk.Path until it is full
//	})
//
// The disk is a tmpfs in a mount namespace of its own: the test runs in a second process, as root of a user namespace, and
// leaves nothing mounted however it ends. Where the system does not permit that, the test is skipped.
package smalldisk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Disk is a file system of its own.
type Disk struct {
	// Path is where it is mounted.
	Path string
}

// inside is set in the process that has the disk.
const inside = "LATENT_TEST_SMALL_DISK"

// Run runs a test, which is all of the Test function that calls it, with a disk of so many bytes.
func Run(t *testing.T, size int64, test func(t *testing.T, disk Disk)) {
	t.Helper()
	if os.Getenv(inside) == "" {
		runInside(t)
		return
	}
	disk := Disk{t.TempDir()}
	if err := syscall.Mount("tmpfs", disk.Path, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("SKIPPED: cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk.Path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	test(t, disk)
}

// SetReadOnly lets nothing be written any more, or again. Nothing may be open for writing.
func (d Disk) SetReadOnly(t *testing.T, readOnly bool) {
	t.Helper()
	flags := uintptr(syscall.MS_REMOUNT)
	if readOnly {
		flags |= syscall.MS_RDONLY
	}
	if err := syscall.Mount("", d.Path, "", flags, ""); err != nil {
		t.Fatal(err)
	}
}

// runInside runs the test's function again, in a process with namespaces of its own.
func runInside(t *testing.T) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		t.Fatalf("%s", out)
	case err != nil:
		t.Skipf("SKIPPED: no namespace for a small disk: %v", err)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	case !bytes.Contains(out, []byte("--- PASS")):
		t.Fatalf("the test did not run: %s", out)
	}
}
