/* SPDX-License-Identifier: Apache-2.0
 *
 * The first entry of a page: of which machine and counters everything after it is. Written and read in one place.
 */
#include "energy/feed_header.h"

#include <math.h>
#include <string.h>

#include "energy/feed_internal.h"

size_t fw_feed_gpus(const struct fw_domain *domains, size_t count)
{
	size_t gpus = 0;

	for (size_t i = 0; i < count; i++)
		if (domains[i].gpu >= 0 && domains[i].gpu < FW_ATTRIBUTION_GPUS && (size_t)domains[i].gpu + 1 > gpus)
			gpus = (size_t)domains[i].gpu + 1;
	return gpus;
}

static json_t *domain_to_json(const struct fw_domain *domain)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:b, s:b, s:b}", "source", domain->source, "method",
	                         domain->method ? domain->method : "unknown",
	                         "domain", fw_domain_kind_names[domain->kind], "name", domain->name, "package",
	                         domain->package, "die", domain->die, "gpu", domain->gpu, "root", domain->is_root, "virtual",
	                         domain->is_virtual, "unshared", domain->is_unshared);

	json_object_set_new(json, "quantum_j", fw_json_real(domain->quantum_j));
	json_object_set_new(json, "update_s", fw_json_real(domain->update_s));
	json_object_set_new(json, "most_w", fw_json_real(domain->most_w));
	return json;
}

json_t *fw_feed_header(const struct fw_attribution_machine *machine, const struct fw_domain *domains, size_t count,
                       const char *work)
{
	json_t *packages = json_array(), *list = json_array();

	for (size_t i = 0; i < machine->packages; i++)
		json_array_append_new(packages, json_pack("{s:i, s:o}", "number", machine->physical[i], "cpus",
		                                          fw_json_real(machine->cpus[i])));
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, domain_to_json(&domains[i]));
	return json_pack("{s:i, s:s, s:b, s:o, s:o, s:o, s:o}", "version", FW_FEED_VERSION, "work", work, "misses", machine->has_misses, "memory_bytes",
	                 fw_json_real(machine->memory_bytes), "lag_ns", fw_json_real(machine->lag_ns), "packages", packages,
	                 "domains", list);
}

/* ---- read ---- */

/* No figure of a machine is negative or as large as this: sums and squares of what passes stay finite. */
static bool can_be(double amount)
{
	return amount >= 0 && amount < 1e18;
}

static bool can_be_or_unknown(double amount)
{
	return isnan(amount) || can_be(amount);
}

static int kind_of(const char *name, enum fw_domain_kind *kind, struct fw_error **err)
{
	for (size_t i = 0; i < FW_DOMAIN_KINDS; i++)
		if (strcmp(fw_domain_kind_names[i], name) == 0) {
			*kind = (enum fw_domain_kind)i;
			return FW_OK;
		}
	return fw_fail(err, FW_E_INVALID, "no domain '%.40s' is known", name);
}

static int read_domain(const json_t *json, struct fw_feed_header *header, struct fw_error **err)
{
	struct fw_domain *domain = &header->domains[header->count];
	fw_cleanup_free char *source = NULL, *method = NULL, *kind = NULL, *name = NULL;
	int64_t package = -1, die = -1, gpu = -1;
	const struct fw_json_member members[] = {
		{"source", 's', true, &source}, {"method", 's', true, &method}, {"domain", 's', true, &kind},
		{"name", 's', true, &name}, {"package", 'i', true, &package}, {"die", 'i', true, &die}, {"gpu", 'i', true, &gpu},
		{"root", 'b', true, &domain->is_root}, {"virtual", 'b', true, &domain->is_virtual},
		{"unshared", 'b', true, &domain->is_unshared}, {"quantum_j", 'n', true, &domain->quantum_j}, {"update_s", 'n', false, &domain->update_s},
		{"most_w", 'n', false, &domain->most_w}};
	int rc;

	domain->update_s = domain->most_w = NAN;
	rc = fw_json_read(json, "a domain", members, FW_COUNT_OF(members), false, err);
	if (rc == FW_OK)
		rc = kind_of(kind, &domain->kind, err);
	if (rc != FW_OK)
		return rc;
	if (strlen(name) >= sizeof domain->name || package < -1 || package > INT16_MAX || gpu < -1 || gpu > INT16_MAX ||
	    !can_be(domain->quantum_j) || !can_be_or_unknown(domain->update_s) || !can_be_or_unknown(domain->most_w))
		return fw_fail(err, FW_E_INVALID, "domain '%.60s' is none", name);
	memcpy(domain->name, name, strlen(name) + 1);
	domain->package = (int)package;
	domain->die = (int)die;
	domain->gpu = (int)gpu;
	domain->source = header->sources[header->count] = FW_TAKE(source);
	domain->method = header->methods[header->count] = FW_TAKE(method);
	header->count++;
	return FW_OK;
}

static int read_package(const json_t *json, struct fw_attribution_machine *machine, struct fw_error **err)
{
	int64_t number = -1;
	double cpus = 0;
	const struct fw_json_member members[] = {{"number", 'i', true, &number}, {"cpus", 'n', true, &cpus}};
	int rc = fw_json_read(json, "a package", members, FW_COUNT_OF(members), false, err);

	if (rc != FW_OK)
		return rc;
	if (number < -1 || number > INT16_MAX || !can_be(cpus))
		return fw_fail(err, FW_E_INVALID, "package %lld of %g CPUs is none", (long long)number, cpus);
	machine->physical[machine->packages] = (int)number;
	machine->cpus[machine->packages++] = cpus;
	return FW_OK;
}

static int read_lists(const json_t *packages, const json_t *domains, struct fw_feed_header *header, struct fw_error **err)
{
	int rc = FW_OK;

	if (!json_is_array(packages) || json_array_size(packages) < 1 || json_array_size(packages) > FW_ATTRIBUTION_PACKAGES ||
	    !json_is_array(domains) || json_array_size(domains) < 1 || json_array_size(domains) > FW_ATTRIBUTION_POOLS)
		return fw_fail(err, FW_E_INVALID, "as many packages or domains as there cannot be");
	for (size_t i = 0; i < json_array_size(packages) && rc == FW_OK; i++)
		rc = read_package(json_array_get(packages, i), &header->machine, err);
	for (size_t i = 0; i < json_array_size(domains) && rc == FW_OK; i++)
		rc = read_domain(json_array_get(domains, i), header, err);
	return rc;
}

int fw_feed_header_read(const char *text, size_t length, struct fw_feed_header *header, struct fw_error **err)
{
	fw_cleanup_json json_t *json = NULL;
	json_t *packages = NULL, *domains = NULL;
	int64_t version = 0;
	const struct fw_json_member members[] = {
		{"version", 'i', true, &version}, {"misses", 'b', false, &header->machine.has_misses}, {"work", 's', true, &header->work},
		{"memory_bytes", 'n', true, &header->machine.memory_bytes}, {"lag_ns", 'n', true, &header->machine.lag_ns},
		{"packages", 'o', true, &packages}, {"domains", 'o', true, &domains}};
	int rc;

	*header = (struct fw_feed_header){0};
	rc = fw_json_load("the readings", text, length, &json, err);
	if (rc == FW_OK)
		rc = fw_json_read(json, "the head of the readings", members, FW_COUNT_OF(members), false, err);
	if (rc == FW_OK && (version < 1 || version > FW_FEED_VERSION))
		rc = fw_fail(err, FW_E_INVALID, "readings of version %lld; this flexwatt knows %d", (long long)version, FW_FEED_VERSION);
	if (rc == FW_OK && (!can_be(header->machine.memory_bytes) || !can_be(header->machine.lag_ns)))
		rc = fw_fail(err, FW_E_INVALID, "a machine of %g bytes of memory whose work is told %g ns late is none",
		             header->machine.memory_bytes, header->machine.lag_ns);
	if (rc == FW_OK)
		rc = read_lists(packages, domains, header, err);
	if (rc != FW_OK)
		fw_feed_header_done(header);
	return rc;
}

void fw_feed_header_done(struct fw_feed_header *header)
{
	for (size_t i = 0; i < header->count; i++) {
		free(header->sources[i]);
		free(header->methods[i]);
	}
	free(header->work);
	*header = (struct fw_feed_header){0};
}
