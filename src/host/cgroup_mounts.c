/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the control groups of this machine are mounted and where in them this process is: the texts of
 * /proc/self/mountinfo and /proc/self/cgroup. Containers mount a sub-tree, several controllers may share one mount,
 * names may hold escaped blanks: every such case is a fixture of the tests.
 */
#include <string.h>

#include "host/cgroup_internal.h"

static const char *const controller_names[FW_CONTROLLER_COUNT] = {
	[FW_CONTROLLER_CPU] = "cpu", [FW_CONTROLLER_CPUACCT] = "cpuacct", [FW_CONTROLLER_MEMORY] = "memory",
	[FW_CONTROLLER_PIDS] = "pids", [FW_CONTROLLER_FREEZER] = "freezer", [FW_CONTROLLER_IO] = "io",
};

const char *fw_controller_name(int controller)
{
	return controller_names[controller];
}

int fw_controller_by_name(struct fw_str name)
{
	for (int i = 0; i < FW_CONTROLLER_COUNT; i++)
		if (fw_str_is(name, controller_names[i]))
			return i;
	return -1;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* mountinfo writes blank, tab, newline and backslash as \040 and so on. False when it does not fit. */
static bool unescape(struct fw_str text, char *out, size_t size)
{
	size_t length = 0;

	for (size_t i = 0; i < text.length; i++) {
		char c = text.text[i];

		if (c == '\\' && i + 3 < text.length && is_octal(text.text[i + 1]) && is_octal(text.text[i + 2]) &&
		    is_octal(text.text[i + 3])) {
			c = (char)((text.text[i + 1] - '0') << 6 | (text.text[i + 2] - '0') << 3 | (text.text[i + 3] - '0'));
			i += 3;
		}
		if (length + 1 >= size || c == '\0')
			return false;
		out[length++] = c;
	}
	out[length] = '\0';
	return true;
}

static unsigned controllers_of(struct fw_str options)
{
	unsigned controllers = 0;
	struct fw_str option;

	while (options.length > 0 && fw_str_next_field(&options, ',', &option)) {
		int controller = fw_controller_by_name(option);

		if (controller >= 0 && controller != FW_CONTROLLER_IO)
			controllers |= 1u << controller;
	}
	return controllers;
}

bool fw_cgroup_mount_parse(struct fw_str line, struct fw_cgroup_mount *mount)
{
	struct fw_str word, root, point, type, source, options = {0};

	for (int i = 0; i < 3; i++) /* id, parent, device */
		if (!fw_str_next_word(&line, &word))
			return false;
	if (!fw_str_next_word(&line, &root) || !fw_str_next_word(&line, &point))
		return false;
	do /* mount options and a varying number of optional fields, up to a lone dash */
		if (!fw_str_next_word(&line, &word))
			return false;
	while (!fw_str_is(word, "-"));
	if (!fw_str_next_word(&line, &type) || !fw_str_next_word(&line, &source))
		return false;
	fw_str_next_word(&line, &options);

	mount->v2 = fw_str_is(type, "cgroup2");
	mount->controllers = fw_str_is(type, "cgroup") ? controllers_of(options) : 0;
	if (!mount->v2 && mount->controllers == 0)
		return false;
	if (point.length == 0 || point.text[0] != '/' || root.length == 0 || root.text[0] != '/')
		return false;
	point = (struct fw_str){point.text + 1, point.length - 1};
	return unescape(root, mount->root, sizeof mount->root) && unescape(point, mount->point, sizeof mount->point);
}

bool fw_cgroup_own_path(struct fw_str text, int controller, struct fw_str *path)
{
	struct fw_str line, number, names, name;

	while (fw_str_next_line(&text, &line)) {
		if (!fw_str_next_field(&line, ':', &number) || !fw_str_next_field(&line, ':', &names) || line.length == 0)
			continue;
		if (controller < 0 && fw_str_is(number, "0") && names.length == 0) {
			*path = line;
			return true;
		}
		while (controller >= 0 && names.length > 0 && fw_str_next_field(&names, ',', &name))
			if (fw_str_is(name, fw_controller_name(controller))) {
				*path = line;
				return true;
			}
	}
	return false;
}

bool fw_cgroup_below_mount(const struct fw_cgroup_mount *mount, struct fw_str own, struct fw_str *below)
{
	size_t length = strlen(mount->root);

	if (length == 1)
		length = 0; /* "/": everything is below */
	if (!fw_str_starts(own, mount->root) || (own.length > length && own.text[length] != '/'))
		return false;
	*below = (struct fw_str){own.text + length, own.length - length};
	while (below->length > 0 && below->text[0] == '/')
		*below = (struct fw_str){below->text + 1, below->length - 1};
	return true;
}
