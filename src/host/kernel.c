/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration of a kernel, line by line. An option that is in no line depends on one that is not set.
 */
#include "host/kernel.h"

#include <stdio.h>
#include <string.h>

enum { CONFIG_BYTES = 1 << 20 };

enum fw_built fw_kernel_option_parse(struct fw_str text, const char *option)
{
	enum fw_built built = FW_BUILT_UNKNOWN;
	size_t length = strlen(option);
	struct fw_str line;

	while (fw_str_next_line(&text, &line)) {
		if (fw_str_starts(line, "CONFIG_"))
			built = FW_BUILT_NOT; /* it is a configuration, and one that we have not found in it yet */
		if (line.length < length + 2 || !fw_str_starts(line, option) || line.text[length] != '=')
			continue;
		return line.text[length + 1] == 'y' ? FW_BUILT_IN : line.text[length + 1] == 'm' ? FW_BUILT_MODULE : FW_BUILT_NOT;
	}
	return built;
}

enum fw_built fw_kernel_option(const struct fw_root *root, const char *option)
{
	char release[64], path[96];
	fw_cleanup_buffer struct fw_buffer text;
	ssize_t length = fw_root_peek(root, "proc/sys/kernel/osrelease", release, sizeof release);

	fw_buffer_init(&text, CONFIG_BYTES);
	if (length <= 0)
		return FW_BUILT_UNKNOWN;
	release[strcspn(release, "/\n")] = '\0';
	snprintf(path, sizeof path, "boot/config-%s", release);
	if (fw_root_read(root, path, &text, NULL) != FW_OK)
		return FW_BUILT_UNKNOWN;
	return fw_kernel_option_parse((struct fw_str){text.data, text.length}, option);
}
