/* SPDX-License-Identifier: Apache-2.0
 *
 * What the running kernel was built with, as far as its distribution leaves the list in /boot: "load the module" and "another
 * kernel" are different advice.
 */
#pragma once

#include "base/str.h"
#include "host/root.h"

enum fw_built { FW_BUILT_UNKNOWN, FW_BUILT_NOT, FW_BUILT_MODULE, FW_BUILT_IN };

/* Of one option in the text of a configuration: "CONFIG_BPF_SYSCALL=y", "# CONFIG_INTEL_RAPL is not set". */
enum fw_built fw_kernel_option_parse(struct fw_str text, const char *option);
/* The same of the running kernel, by /boot/config-RELEASE below root. */
enum fw_built fw_kernel_option(const struct fw_root *root, const char *option);
