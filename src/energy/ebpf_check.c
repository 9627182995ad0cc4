/* SPDX-License-Identifier: Apache-2.0
 *
 * Why BPF programs cannot be loaded, told before it is tried: each known obstacle by its name and with its remedy.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "energy/ebpf_internal.h"
#include "host/kernel.h"
#include "host/procfs.h"

enum { NEEDS_MAJOR = 5, NEEDS_MINOR = 8, CAP_SYS_ADMIN_BIT = 21, CAP_PERFMON_BIT = 38, CAP_BPF_BIT = 39 };

static bool take_number(struct fw_str *text, unsigned *number)
{
	size_t digits = 0;

	*number = 0;
	for (; digits < text->length && digits < 6 && text->text[digits] >= '0' && text->text[digits] <= '9'; digits++)
		*number = *number * 10 + (unsigned)(text->text[digits] - '0');
	text->text += digits;
	text->length -= digits;
	return digits > 0;
}

bool fw_kernel_at_least(struct fw_str release, unsigned major, unsigned minor)
{
	unsigned has_major, has_minor;

	if (!take_number(&release, &has_major) || release.length == 0 || release.text[0] != '.')
		return false;
	release = (struct fw_str){release.text + 1, release.length - 1};
	if (!take_number(&release, &has_minor))
		return false;
	return has_major > major || (has_major == major && has_minor >= minor);
}

bool fw_bpf_is_locked_down(struct fw_str text)
{
	return memmem(text.text, text.length, "[confidentiality]", strlen("[confidentiality]")) != NULL;
}

static bool hex_of(struct fw_str text, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < text.length; i++) {
		char c = text.text[i];
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;

		if (digit > 15 || i >= 16)
			return false;
		*value = *value << 4 | digit;
	}
	return text.length > 0;
}

bool fw_bpf_may_load(struct fw_str status)
{
	const uint64_t both = 1ULL << CAP_BPF_BIT | 1ULL << CAP_PERFMON_BIT;
	struct fw_str text;
	uint64_t capabilities;

	if (!fw_key_text(status, "CapEff", &text) || !hex_of(text, &capabilities))
		return true; /* the kernel will say */
	return capabilities & 1ULL << CAP_SYS_ADMIN_BIT || (capabilities & both) == both;
}

static struct fw_str read_short(const struct fw_root *root, const char *path, char *text, size_t size)
{
	ssize_t length = fw_root_peek(root, path, text, size);

	return (struct fw_str){text, length < 0 ? 0 : (size_t)length};
}

static int check_permission(const struct fw_root *root, struct fw_error **err)
{
	char text[4096];
	int rc;

	if (fw_bpf_may_load(read_short(root, "proc/self/status", text, sizeof text)))
		return FW_OK;
	struct fw_str setting = fw_str_trim(read_short(root, "proc/sys/kernel/unprivileged_bpf_disabled", text, sizeof text));
	rc = fw_fail(err, FW_E_PERMISSION, "BPF needs CAP_BPF and CAP_PERFMON%s",
	             setting.length > 0 && setting.text[0] != '0' ? ", and unprivileged BPF is disabled" : "");
	return fw_error_hint(err, rc, "run as root, or scripts/install-caps (cap_bpf and cap_perfmon for flexwatt's file)");
}

int fw_bpf_check(const struct fw_root *root, struct fw_error **err)
{
	char text[256];
	struct fw_str release = fw_str_trim(read_short(root, "proc/sys/kernel/osrelease", text, sizeof text));
	int rc;

	if (release.length > 0 && !fw_kernel_at_least(release, NEEDS_MAJOR, NEEDS_MINOR)) {
		rc = fw_fail(err, FW_E_ABSENT, "kernel %.*s is older than %d.%d", (int)release.length, release.text,
		             NEEDS_MAJOR, NEEDS_MINOR);
		return fw_error_hint(err, rc, "a newer kernel");
	}
	if (fw_kernel_option(root, "CONFIG_BPF_SYSCALL") == FW_BUILT_NOT) {
		rc = fw_fail(err, FW_E_ABSENT, "kernel %.*s was built without CONFIG_BPF_SYSCALL", (int)release.length, release.text);
		return fw_error_hint(err, rc, "a kernel with CONFIG_BPF_SYSCALL=y");
	}
	if (faccessat(root->fd, "sys/kernel/btf/vmlinux", R_OK, 0) != 0) {
		if (fw_kernel_option(root, "CONFIG_DEBUG_INFO_BTF") == FW_BUILT_NOT)
			rc = fw_fail(err, FW_E_ABSENT, "kernel %.*s was built without its types (CONFIG_DEBUG_INFO_BTF)",
			             (int)release.length, release.text);
		else
			rc = fw_fail(err, FW_E_ABSENT, "the kernel tells no types (no readable /sys/kernel/btf/vmlinux)");
		return fw_error_hint(err, rc, "a kernel with CONFIG_DEBUG_INFO_BTF=y; in a container, mount /sys");
	}
	if (fw_bpf_is_locked_down(read_short(root, "sys/kernel/security/lockdown", text, sizeof text))) {
		rc = fw_fail(err, FW_E_PERMISSION, "the kernel is locked down (confidentiality): BPF may not read it");
		return fw_error_hint(err, rc, "boot with lockdown=integrity");
	}
	return check_permission(root, err);
}
