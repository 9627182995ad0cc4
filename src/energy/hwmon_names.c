/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sensor of hwmon measures. Drivers name chips and channels as they like: those that measure processors, memory
 * and modules are listed here with what their makers say they hold; all others are shown and never added up.
 */
#include <ctype.h>
#include <string.h>

#include "energy/hwmon_names.h"

/* A label that ends in '#' is followed by a number: a socket's where `numbers_package` says so, else one core's. */
static const struct known {
	const char *chip, *label;
	enum fw_domain_kind kind;
	bool numbers_package, is_root;
} all_known[] = {
	/* Ampere and X-Gene: cores, and all else of the chip, apart: neither holds the other. */
	{"apm_xgene", "CPU power", FW_DOMAIN_PACKAGE, false, true},
	{"apm_xgene", "IO power", FW_DOMAIN_UNCORE, false, true},
	/* Altra by Ampere's own kernel: cores alone, no counter of the chip. */
	{"altra_hwmon", "Core Energy #", FW_DOMAIN_CORE, false, false},
	/* NVIDIA Grace: the meter "Grace" holds CPU, SysIO and memory, the module holds the GPU too. */
	{"power_meter", "Grace Power Socket #", FW_DOMAIN_PACKAGE, true, true},
	{"power_meter", "CPU Power Socket #", FW_DOMAIN_CORE, true, false},
	{"power_meter", "SysIO Power Socket #", FW_DOMAIN_UNCORE, true, false},
	{"power_meter", "Module Power Socket #", FW_DOMAIN_PSYS, true, false},
	/* Other machines' ACPI meters are the whole machine's. */
	{"power_meter", "", FW_DOMAIN_PSYS, false, false},
	/* AMD servers of Linux 5.8 to 5.12. */
	{"amd_energy", "Esocket#", FW_DOMAIN_PACKAGE, true, true},
	{"amd_hsmp_hwmon", "", FW_DOMAIN_PACKAGE, false, true}, /* one chip a socket */
	{"amd_energy", "Ecore#", FW_DOMAIN_CORE, false, false},
	/* Discrete Intel GPUs: the card holds its package. */
	{"i915", "", FW_DOMAIN_GPU, false, true},
	{"xe", "card", FW_DOMAIN_GPU, false, true},
	{"xe", "pkg", FW_DOMAIN_GPU, false, false},
	/* May be a part of a processor, whose package holds it already. */
	{"amdgpu", "PPT", FW_DOMAIN_GPU, false, false},
	{"amdgpu", "slowPPT", FW_DOMAIN_GPU, false, false},
};

static bool take_number(struct fw_str *rest, unsigned *number)
{
	size_t digits = 0;
	uint64_t value;

	while (digits < rest->length && isdigit((unsigned char)rest->text[digits]))
		digits++;
	if (!fw_str_to_u64((struct fw_str){rest->text, digits}, &value) || value > 9999)
		return false;
	*number = (unsigned)value;
	*rest = (struct fw_str){rest->text + digits, rest->length - digits};
	return true;
}

bool fw_hwmon_file_parse(struct fw_str text, struct fw_hwmon_file *file)
{
	bool is_power = fw_str_starts(text, "power"), is_energy = fw_str_starts(text, "energy");
	size_t prefix = is_power ? strlen("power") : strlen("energy");
	struct fw_str rest;
	unsigned number;

	if (!is_power && !is_energy)
		return false;
	rest = (struct fw_str){text.text + prefix, text.length - prefix};
	if (!take_number(&rest, &number) || (!fw_str_is(rest, "_input") && !(is_power && fw_str_is(rest, "_average"))))
		return false;
	*file = (struct fw_hwmon_file){is_power, fw_str_is(rest, "_average"), number};
	return true;
}

static bool fits(const struct known *known, struct fw_str chip, struct fw_str label, unsigned *number)
{
	size_t length = strlen(known->label);

	if (!fw_str_is(chip, known->chip))
		return false;
	if (length == 0 || known->label[length - 1] != '#')
		return fw_str_is(label, known->label);
	length--;
	if (label.length <= length || strncmp(label.text, known->label, length) != 0)
		return false;
	struct fw_str rest = {label.text + length, label.length - length};
	return take_number(&rest, number) && rest.length == 0;
}

static size_t put(char *name, size_t size, size_t at, struct fw_str text)
{
	for (size_t i = 0; i < text.length && at < size - 1; i++)
		name[at++] = text.text[i] >= ' ' && text.text[i] < 0x7f ? text.text[i] : '?';
	name[at] = '\0';
	return at;
}

bool fw_hwmon_label_parse(struct fw_str chip, struct fw_str label, struct fw_domain *domain)
{
	unsigned number = 0;
	size_t length;

	chip = fw_str_trim(chip);
	label = fw_str_trim(label);
	length = put(domain->name, sizeof domain->name, 0, chip);
	if (label.length > 0)
		put(domain->name, sizeof domain->name, put(domain->name, sizeof domain->name, length, FW_STR(" ")), label);
	domain->kind = FW_DOMAIN_OTHER;
	domain->package = domain->die = domain->gpu = -1;
	domain->is_root = false;
	for (size_t i = 0; i < sizeof all_known / sizeof *all_known; i++)
		if (fits(&all_known[i], chip, label, &number)) {
			domain->kind = all_known[i].kind;
			domain->is_root = all_known[i].is_root;
			domain->package = all_known[i].numbers_package ? (int)number : -1;
			return domain->kind != FW_DOMAIN_CORE || all_known[i].numbers_package;
		}
	return true;
}

bool fw_hwmon_energy_parse(struct fw_str text, struct fw_microjoules *energy)
{
	return fw_str_to_u64(fw_str_trim(text), &energy->uj);
}

bool fw_hwmon_power_parse(struct fw_str text, struct fw_microwatts *power)
{
	return fw_str_to_u64(fw_str_trim(text), &power->uw);
}
