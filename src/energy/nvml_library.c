/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens the driver's library and says why it does not work where it does not: most often it is there, and the driver's
 * other half is not, or is of another version.
 */
#include "energy/nvml_library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define USUAL "libnvidia-ml.so.1"

static const struct symbol {
	const char *name;
	size_t offset;
	bool is_needed;
} symbols[] = {
	{"nvmlInit_v2", offsetof(struct fw_nvml, init), true},
	{"nvmlShutdown", offsetof(struct fw_nvml, shutdown), true},
	{"nvmlErrorString", offsetof(struct fw_nvml, error_string), true},
	{"nvmlDeviceGetCount_v2", offsetof(struct fw_nvml, device_count), true},
	{"nvmlDeviceGetHandleByIndex_v2", offsetof(struct fw_nvml, device), true},
	{"nvmlDeviceGetPowerUsage", offsetof(struct fw_nvml, power), true},
	{"nvmlDeviceGetName", offsetof(struct fw_nvml, name), false},
	{"nvmlDeviceGetTotalEnergyConsumption", offsetof(struct fw_nvml, energy), false},
	{"nvmlDeviceGetFieldValues", offsetof(struct fw_nvml, fields), false},
	{"nvmlDeviceGetEnforcedPowerLimit", offsetof(struct fw_nvml, power_limit), false},
	{"nvmlDeviceGetProcessUtilization", offsetof(struct fw_nvml, process_use), false},
	{"nvmlDeviceGetComputeRunningProcesses_v3", offsetof(struct fw_nvml, processes), false},
	{"nvmlDeviceGetMigMode", offsetof(struct fw_nvml, mig_mode), false},
	{"nvmlDeviceGetMaxMigDeviceCount", offsetof(struct fw_nvml, mig_count), false},
	{"nvmlDeviceGetMigDeviceHandleByIndex", offsetof(struct fw_nvml, mig_device), false},
	{"nvmlDeviceGetAttributes_v2", offsetof(struct fw_nvml, attributes), false},
};

static int resolve(struct fw_nvml *nvml, const char *path, struct fw_error **err)
{
	for (size_t i = 0; i < FW_COUNT_OF(symbols); i++) {
		void *function = dlsym(nvml->library, symbols[i].name);

		if (!function && symbols[i].is_needed) {
			fw_fail(err, FW_E_ABSENT, "%s has no function %s", path, symbols[i].name);
			return fw_error_hint(err, FW_E_ABSENT, "the driver is too old, or the file is another library: its version is in "
			                     "/proc/driver/nvidia/version");
		}
		memcpy((char *)nvml + symbols[i].offset, &function, sizeof function);
	}
	return FW_OK;
}

static int load(struct fw_nvml *nvml, const char *path, bool is_usual, struct fw_error **err)
{
	nvml->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (nvml->library)
		return FW_OK;
	const char *reason = dlerror();
	bool is_missing = is_usual && reason && strstr(reason, "No such file");

	if (!is_missing)
		return fw_fail(err, FW_E_ABSENT, "the NVIDIA driver's library does not load: %s", reason ? reason : path);
	fw_fail(err, FW_E_ABSENT, "no NVIDIA driver here: there is no " USUAL);
	return fw_error_hint(err, FW_E_ABSENT, "a machine with an NVIDIA GPU needs its driver; a container needs the NVIDIA runtime with "
	                     "NVIDIA_DRIVER_CAPABILITIES=utility, or FLEXWATT_NVML with the path of the library");
}

const char *fw_nvml_text(const struct fw_nvml *nvml, int code)
{
	const char *text = nvml->error_string ? nvml->error_string(code) : NULL;

	return text ? text : "an error without a text";
}

static int explain(const struct fw_nvml *nvml, int code, struct fw_error **err)
{
	switch (code) {
	case FW_NVML_DRIVER_NOT_LOADED:
		fw_fail(err, FW_E_ABSENT, "the NVIDIA kernel module is not loaded");
		return fw_error_hint(err, FW_E_ABSENT, "modprobe nvidia, of the same version as the library");
	case FW_NVML_VERSION_MISMATCH:
		fw_fail(err, FW_E_ABSENT, "the NVIDIA driver's library and its kernel module are of different versions");
		return fw_error_hint(err, FW_E_ABSENT, "the driver was updated while it ran: restart the machine, or unload and load the "
		                     "modules nvidia_uvm, nvidia_drm, nvidia_modeset and nvidia; a container takes its host's library");
	case FW_NVML_NO_PERMISSION:
		fw_fail(err, FW_E_PERMISSION, "the devices /dev/nvidia* may not be opened");
		return fw_error_hint(err, FW_E_PERMISSION, "join the group that owns them, mostly video or render, or run as root");
	case FW_NVML_OPERATING_SYSTEM:
		fw_fail(err, FW_E_PERMISSION, "the system keeps the devices /dev/nvidia* away from this process");
		return fw_error_hint(err, FW_E_PERMISSION, "a container, or a control group with rules for devices, must let them in");
	default:
		return fw_fail(err, FW_E_ABSENT, "the NVIDIA driver does not start: %s", fw_nvml_text(nvml, code));
	}
}

int fw_nvml_open(struct fw_nvml *nvml, struct fw_error **err)
{
	const char *own = secure_getenv("FLEXWATT_NVML"), *path = own ? own : USUAL;
	int rc;

	*nvml = (struct fw_nvml){0};
	if (own && own[0] != '/')
		return fw_fail(err, FW_E_ABSENT, "FLEXWATT_NVML is '%s', which is no absolute path", own);
	rc = load(nvml, path, !own, err);
	if (rc == FW_OK)
		rc = resolve(nvml, path, err);
	if (rc == FW_OK) {
		int code = nvml->init();

		nvml->is_started = code == FW_NVML_SUCCESS;
		if (!nvml->is_started)
			rc = explain(nvml, code, err);
	}
	if (rc != FW_OK)
		fw_nvml_close(nvml);
	return rc;
}

void fw_nvml_close(struct fw_nvml *nvml)
{
	if (nvml->is_started)
		nvml->shutdown();
	if (nvml->library)
		dlclose(nvml->library);
	*nvml = (struct fw_nvml){0};
}
