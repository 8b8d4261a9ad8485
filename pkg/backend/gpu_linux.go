//go:build cgo && !noxla && linux && (amd64 || arm64)

package backend

/*
#cgo LDFLAGS: -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// load_library opens a library and copies where from, or else why not. All of its symbols are resolved now: a library that does
// not fit the others is found out here, where it is an error, and not in a call, where it ends the process.
static int load_library(const char *name, char *text, size_t size) {
	void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) {
		snprintf(text, size, "%s", dlerror());
		return 0;
	}
	struct link_map *map = NULL;
	snprintf(text, size, "%s", dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map->l_name[0] != 0 ? map->l_name : name);
	return 1;
}

// card is what CUDA's driver says of the first device. Where failed is not empty, it is the call that failed, and code its
// result; message is the driver's or the linker's word on it.
typedef struct {
	char failed[32];
	int code;
	char message[512];
	int version, devices, major, minor;
	char name[256];
	size_t total, available;
} card;

// The driver's own types, by its documented binary interface (CUDA Driver API: cuda.h is not needed to build Latent).
typedef int (*returns_result)();
typedef int (*with_unsigned)(unsigned);
typedef int (*with_int)(int *);
typedef int (*with_int_int)(int *, int);
typedef int (*with_text)(char *, int, int);
typedef int (*with_size)(size_t *, int);
typedef int (*with_attribute)(int *, int, int);
typedef int (*with_context)(void **, int);
typedef int (*with_pointer)(void *);
typedef int (*with_sizes)(size_t *, size_t *);
typedef int (*with_error)(int, const char **);
enum { capability_major = 75, capability_minor = 76 }; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR

static int failed(card *c, void *driver, const char *call, int code) {
	if (code == 0) return 0;
	snprintf(c->failed, sizeof c->failed, "%s", call);
	c->code = code;
	with_error explain = (with_error)dlsym(driver, "cuGetErrorString");
	const char *text = NULL;
	if (explain != NULL && explain(code, &text) == 0 && text != NULL) snprintf(c->message, sizeof c->message, "%s", text);
	return 1;
}

// ask fills in a card. With memory, it also asks for free memory, which needs the device's context: XLA's, where XLA has opened it.
static void ask(card *c, int memory) {
	memset(c, 0, sizeof *c);
	void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	if (driver == NULL) {
		snprintf(c->failed, sizeof c->failed, "dlopen");
		snprintf(c->message, sizeof c->message, "%s", dlerror());
		return;
	}
	with_int version = (with_int)dlsym(driver, "cuDriverGetVersion");
	with_unsigned init = (with_unsigned)dlsym(driver, "cuInit");
	with_int count = (with_int)dlsym(driver, "cuDeviceGetCount");
	with_int_int get = (with_int_int)dlsym(driver, "cuDeviceGet");
	with_text name = (with_text)dlsym(driver, "cuDeviceGetName");
	with_size total = (with_size)dlsym(driver, "cuDeviceTotalMem_v2");
	with_attribute attribute = (with_attribute)dlsym(driver, "cuDeviceGetAttribute");
	if (!version || !init || !count || !get || !name || !total || !attribute) {
		snprintf(c->failed, sizeof c->failed, "dlsym");
		snprintf(c->message, sizeof c->message, "libcuda.so.1 is not CUDA's driver");
		return;
	}
	version(&c->version);
	int device = 0;
	if (failed(c, driver, "cuInit", init(0))) return;
	if (failed(c, driver, "cuDeviceGetCount", count(&c->devices)) || c->devices == 0) return;
	if (failed(c, driver, "cuDeviceGet", get(&device, 0))) return;
	name(c->name, sizeof c->name, device);
	total(&c->total, device);
	attribute(&c->major, capability_major, device);
	attribute(&c->minor, capability_minor, device);
	with_context retain = (with_context)dlsym(driver, "cuDevicePrimaryCtxRetain");
	with_pointer push = (with_pointer)dlsym(driver, "cuCtxPushCurrent_v2");
	with_pointer pop = (with_pointer)dlsym(driver, "cuCtxPopCurrent_v2");
	with_sizes info = (with_sizes)dlsym(driver, "cuMemGetInfo_v2");
	int (*release)(int) = (int (*)(int))dlsym(driver, "cuDevicePrimaryCtxRelease_v2");
	void *context = NULL;
	if (!memory || !retain || !push || !pop || !info || !release || retain(&context, device) != 0) return;
	if (push(context) == 0) {
		size_t all = 0;
		if (info(&c->available, &all) != 0) c->available = 0;
		void *popped = NULL;
		pop(&popped);
	}
	release(device);
}
*/
import "C"

import (
	"errors"
	"unsafe"
)

// loadLibrary loads a shared library for as long as the process lives, and returns where it was found. A library that needs it
// finds it by its name from then on.
func loadLibrary(name string) (path string, err error) {
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	text := (*C.char)(C.malloc(4096))
	defer C.free(unsafe.Pointer(text))
	if C.load_library(cName, text, 4096) == 0 {
		return "", errors.New(C.GoString(text))
	}
	return C.GoString(text), nil
}

// askDriver asks CUDA's driver for its version and the first device. Free memory needs the device's context, which it makes
// where there is none: a few hundred megabytes of the device for a moment.
func askDriver(memory bool) driver {
	var c C.card
	want := C.int(0)
	if memory {
		want = 1
	}
	C.ask(&c, want)
	return driver{
		failed: C.GoString(&c.failed[0]), code: int(c.code), message: C.GoString(&c.message[0]),
		version: int(c.version), devices: int(c.devices), name: C.GoString(&c.name[0]),
		major: int(c.major), minor: int(c.minor), total: int64(c.total), free: int64(c.available),
	}
}
