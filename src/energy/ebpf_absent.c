/* SPDX-License-Identifier: Apache-2.0
 *
 * In place of the loader where flexwatt was built without clang, bpftool or libbpf: says so.
 */
#include "energy/ebpf_internal.h"

int fw_bpf_load(const struct fw_root *root, struct fw_bpf *bpf, struct fw_error **err)
{
	(void)root;
	(void)bpf;
	int rc = fw_fail(err, FW_E_UNAVAILABLE, "this flexwatt was built without its BPF programs");

	return fw_error_hint(err, rc, "build it with clang, bpftool and libbpf's headers installed: scripts/setup build");
}
