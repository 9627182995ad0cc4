/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of powercap. A zone's directory says what contains it ("intel-rapl:0:1" is in "intel-rapl:0"); the number is the
 * order of registration and says nothing of sockets. What a zone is, and of which package, is in its `name` alone.
 */
#include <string.h>

#include "energy/rapl_names.h"

static struct fw_str after(struct fw_str text, size_t length)
{
	return (struct fw_str){text.text + length, text.length - length};
}

/* A small number in digits alone at the front; returns the rest of the text in *rest. */
static bool take_number(struct fw_str text, int *number, struct fw_str *rest)
{
	size_t digits = 0;
	uint64_t value;

	while (digits < text.length && text.text[digits] >= '0' && text.text[digits] <= '9')
		digits++;
	if (!fw_str_to_u64((struct fw_str){text.text, digits}, &value) || value > 9999)
		return false;
	*number = (int)value;
	*rest = after(text, digits);
	return true;
}

bool fw_rapl_entry_parse(struct fw_str text, struct fw_rapl_entry *entry)
{
	static const char plain[] = "intel-rapl:", mmio[] = "intel-rapl-mmio:";
	bool is_mmio = fw_str_starts(text, mmio);
	int number;

	if (text.length >= FW_RAPL_ENTRY || (!is_mmio && !fw_str_starts(text, plain)))
		return false;
	struct fw_str rest = after(text, strlen(is_mmio ? mmio : plain));
	size_t parent_length = 0;

	while (take_number(rest, &number, &rest)) {
		if (rest.length == 0) {
			*entry = (struct fw_rapl_entry){is_mmio, parent_length};
			return true;
		}
		if (rest.text[0] != ':')
			return false;
		parent_length = text.length - rest.length;
		rest = after(rest, 1);
	}
	return false;
}

/* Foreign text, as it may be shown. */
static void copy_name(struct fw_str text, char *name, size_t size)
{
	size_t length = text.length < size - 1 ? text.length : size - 1;

	for (size_t i = 0; i < length; i++)
		name[i] = text.text[i] > ' ' && text.text[i] < 0x7f ? text.text[i] : '?';
	name[length] = '\0';
}

static void parse_package(struct fw_str rest, struct fw_domain *domain)
{
	int package, die = -1;

	if (!take_number(rest, &package, &rest))
		return;
	domain->package = package;
	if (fw_str_starts(rest, "-die-") && take_number(after(rest, strlen("-die-")), &die, &rest))
		domain->die = die;
	if (rest.length == 0)
		domain->kind = FW_DOMAIN_PACKAGE; /* else a part of it that we do not know */
}

void fw_rapl_name_parse(struct fw_str text, struct fw_domain *domain)
{
	static const enum fw_domain_kind inner[] = {FW_DOMAIN_CORE, FW_DOMAIN_UNCORE, FW_DOMAIN_DRAM};
	struct fw_str rest;
	int package;

	text = fw_str_trim(text);
	domain->kind = FW_DOMAIN_OTHER;
	domain->package = domain->die = -1;
	copy_name(text, domain->name, sizeof domain->name);
	for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
		if (fw_str_is(text, fw_domain_kind_names[inner[i]]))
			domain->kind = inner[i];
	if (fw_str_starts(text, "package-"))
		parse_package(after(text, strlen("package-")), domain);
	if (fw_str_is(text, "psys"))
		domain->kind = FW_DOMAIN_PSYS;
	if (fw_str_starts(text, "psys-") && take_number(after(text, strlen("psys-")), &package, &rest) && rest.length == 0) {
		domain->kind = FW_DOMAIN_PSYS;
		domain->package = package;
	}
}

bool fw_rapl_energy_parse(struct fw_str text, uint64_t *microjoules)
{
	return fw_str_to_u64(fw_str_trim(text), microjoules);
}
