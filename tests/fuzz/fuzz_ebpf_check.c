/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a kernel's release, its lockdown, its configuration and a process's status: an answer always, and an older kernel is never
 * taken for a newer one than it is for a lower bound.
 * Sources: src/energy/ebpf_check.c, src/host/kernel.c, procfs.c, src/base.
 */
#include <stdlib.h>

#include "energy/ebpf_internal.h"
#include "host/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_str text = {(const char *)data, size};

	if (fw_kernel_at_least(text, 5, 8) && !fw_kernel_at_least(text, 5, 7))
		abort();
	(void)fw_bpf_is_locked_down(text);
	(void)fw_bpf_may_load(text);
	if (fw_kernel_option_parse(text, "CONFIG_INTEL_RAPL") > FW_BUILT_IN)
		abort();
	return 0;
}
