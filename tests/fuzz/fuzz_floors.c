/* SPDX-License-Identifier: Apache-2.0
 *
 * The books of an earlier run, whose floors a later one takes over: whatever JSON they are, what is believed is a power that a
 * part can draw. Sources: src/energy/counters.c, floor.c.
 */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "energy/manager.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int counter_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	static char nothing;

	(void)context;
	(void)err;
	*monitor = (struct fw_monitor *)&nothing;
	return FW_OK;
}

static char *counter_describe(struct fw_monitor *monitor)
{
	(void)monitor;
	return fw_strdup("a counter");
}

static size_t counter_domains(struct fw_monitor *monitor, const struct fw_domain **domains)
{
	static const struct fw_domain domain = {.source = "rapl", .kind = FW_DOMAIN_PACKAGE, .name = "package-0", .is_root = true};

	(void)monitor;
	*domains = &domain;
	return 1;
}

static void counter_read(struct fw_monitor *monitor, struct fw_domain_reading *reading)
{
	(void)monitor;
	*reading = (struct fw_domain_reading){.joules = 0};
}

static void counter_close(struct fw_monitor *monitor)
{
	(void)monitor;
}

static const struct fw_monitor_ops counter = {.name = "rapl", .method = "fuzz/1", .gives = "energy", .open = counter_open,
                                              .describe = counter_describe, .domains = counter_domains,
                                              .read = counter_read, .close = counter_close};

static void check(const json_t *domain, const char *name)
{
	const json_t *value = json_object_get(domain, name);

	if (json_is_number(value) && !(json_number_value(value) >= 0 && json_number_value(value) < 1e9))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fw_monitor_ops *const monitors[] = {&counter, NULL};
	struct fw_root nowhere = {-1};
	struct fw_machine machine = {.cpu_count = 1, .threads = 1};
	struct fw_energy_options options = {.context = {.root = &nowhere, .machine = &machine}, .monitors = monitors, .no_sampler = true};
	struct fw_energy_manager *manager;
	fw_cleanup_json json_t *books = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);

	if (!books || fw_energy_manager_new(&options, &manager, NULL) != FW_OK)
		return 0;
	fw_energy_manager_inherit(manager, books, 60);
	fw_cleanup_json json_t *told = fw_energy_manager_books(manager);
	const json_t *domain = json_array_get(json_object_get(told, "domains"), 0);

	check(domain, "floor_w");
	check(domain, "floor_half_w");
	check(domain, "floor_age_s");
	fw_energy_manager_free(manager);
	return 0;
}
