/* SPDX-License-Identifier: Apache-2.0
 *
 * Names that the kernel does not write out: ARM cores by implementer and part (Arm's MIDR_EL1 tables), the hypervisor by
 * what it leaves in DMI, /sys/hypervisor or the list of clocks.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/memory.h"
#include "host/machine_internal.h"
#include "host/procfs.h"
#include "host/sysfs.h"

static const struct arm_part {
	unsigned implementer, part;
	const char *name;
} arm_parts[] = {
	{0x41, 0xd03, "Cortex-A53"}, {0x41, 0xd05, "Cortex-A55"}, {0x41, 0xd07, "Cortex-A57"},
	{0x41, 0xd08, "Cortex-A72"}, {0x41, 0xd09, "Cortex-A73"}, {0x41, 0xd0a, "Cortex-A75"},
	{0x41, 0xd0b, "Cortex-A76"}, {0x41, 0xd0c, "Neoverse-N1"}, {0x41, 0xd0d, "Cortex-A77"},
	{0x41, 0xd40, "Neoverse-V1"}, {0x41, 0xd41, "Cortex-A78"}, {0x41, 0xd44, "Cortex-X1"},
	{0x41, 0xd46, "Cortex-A510"}, {0x41, 0xd47, "Cortex-A710"}, {0x41, 0xd48, "Cortex-X2"},
	{0x41, 0xd49, "Neoverse-N2"}, {0x41, 0xd4f, "Neoverse-V2"}, {0x41, 0xd84, "Neoverse-V3"},
	{0x41, 0xd8e, "Neoverse-N3"}, {0x61, 0x022, "Apple-M1"}, {0x61, 0x023, "Apple-M1"},
	{0x61, 0x032, "Apple-M2"}, {0x61, 0x033, "Apple-M2"}, {0xc0, 0xac3, "Ampere-1"}, {0xc0, 0xac4, "Ampere-1a"},
};

static unsigned hexadecimal(struct fw_str text)
{
	unsigned value = 0;

	if (!fw_str_starts(text, "0x"))
		return 0;
	for (size_t i = 2; i < text.length && i < 8; i++) {
		const char *digits = "0123456789abcdef", *digit = strchr(digits, text.text[i]);

		if (!digit || text.text[i] == '\0')
			return 0;
		value = value << 4 | (unsigned)(digit - digits);
	}
	return value;
}

void fw_machine_parse_midr(struct fw_str text, struct fw_machine *machine)
{
	struct fw_str implementer, part;
	unsigned who, what;

	if (!fw_key_text(text, "CPU implementer", &implementer) || !fw_key_text(text, "CPU part", &part))
		return;
	who = hexadecimal(implementer);
	what = hexadecimal(part);
	snprintf(machine->vendor, sizeof machine->vendor, "%s",
	         who == 0x41 ? "ARM" : who == 0x61 ? "Apple" : who == 0xc0 ? "Ampere" : "unknown");
	machine->model = (int)what;
	for (size_t i = 0; i < FW_COUNT_OF(arm_parts); i++)
		if (arm_parts[i].implementer == who && arm_parts[i].part == what)
			snprintf(machine->cpu_model, sizeof machine->cpu_model, "%s", arm_parts[i].name);
	if (machine->cpu_model[0] == '\0')
		snprintf(machine->cpu_model, sizeof machine->cpu_model, "ARM implementer 0x%02x part 0x%03x", who, what);
}

static const char *hypervisor_in_dmi(const struct fw_root *root)
{
	static const struct {
		const char *text, *name;
	} known[] = {
		{"Amazon EC2", "nitro"}, {"QEMU", "kvm"}, {"KVM", "kvm"}, {"Google", "kvm"}, {"OpenStack", "kvm"},
		{"VMware", "vmware"}, {"VirtualBox", "virtualbox"}, {"innotek", "virtualbox"}, {"Xen", "xen"},
		{"Microsoft Corporation", "hyper-v"}, {"Bochs", "bochs"}, {"Parallels", "parallels"},
	};
	static const char *const files[] = {"sys_vendor", "product_name", "bios_vendor"};
	char text[128];

	for (size_t f = 0; f < FW_COUNT_OF(files); f++) {
		if (!fw_sysfs_text(root, text, sizeof text, "sys/class/dmi/id/%s", files[f]))
			continue;
		for (size_t i = 0; i < FW_COUNT_OF(known); i++)
			if (strstr(text, known[i].text))
				return known[i].name;
	}
	return NULL;
}

static const char *hypervisor_in_clocks(const struct fw_root *root)
{
	char text[256];

	if (!fw_sysfs_text(root, text, sizeof text, "sys/devices/system/clocksource/clocksource0/available_clocksource"))
		return NULL;
	return strstr(text, "kvm-clock") ? "kvm" : strstr(text, "hyperv") ? "hyper-v" : strstr(text, "xen") ? "xen" : NULL;
}

static bool has_hypervisor_flag(struct fw_str cpuinfo)
{
	struct fw_str flags, word;

	if (!fw_key_text(cpuinfo, "flags", &flags))
		return false;
	while (fw_str_next_word(&flags, &word))
		if (fw_str_is(word, "hypervisor"))
			return true;
	return false;
}

/* x86 says by a flag that there is one; ARM only by DMI. A metal instance has the cloud's DMI and no flag. */
static void read_hypervisor(const struct fw_root *root, struct fw_str cpuinfo, struct fw_machine *machine)
{
	bool flagged = has_hypervisor_flag(cpuinfo), arm = strcmp(machine->architecture, "arm64") == 0;
	char text[32];
	const char *name = NULL;

	if (!flagged && !arm)
		return;
	if (fw_sysfs_text(root, text, sizeof text, "sys/hypervisor/type"))
		name = text;
	if (!name)
		name = hypervisor_in_dmi(root);
	if (!name)
		name = hypervisor_in_clocks(root);
	if (!name && flagged)
		name = "unknown";
	if (name)
		snprintf(machine->hypervisor, sizeof machine->hypervisor, "%s", name);
}

void fw_machine_read_system(const struct fw_root *root, struct fw_str cpuinfo, struct fw_machine *machine)
{
	struct utsname names;
	struct fw_str ignored;
	bool arm = fw_key_text(cpuinfo, "CPU implementer", &ignored), x86 = fw_key_text(cpuinfo, "vendor_id", &ignored);

	if (arm || x86)
		snprintf(machine->architecture, sizeof machine->architecture, "%s", arm ? "arm64" : "x86_64");
	else if (uname(&names) == 0)
		snprintf(machine->architecture, sizeof machine->architecture, "%.15s", names.machine);
	if (!fw_sysfs_text(root, machine->kernel, sizeof machine->kernel, "proc/sys/kernel/osrelease"))
		machine->kernel[0] = '\0';
	read_hypervisor(root, cpuinfo, machine);
}
