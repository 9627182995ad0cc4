/* SPDX-License-Identifier: Apache-2.0
 *
 * Energy where nothing can be read: E = duration x vCPUs x (Pmin + u (Pmax - Pmin)) + W/GB x GB x duration, with
 * u = CPU time / (duration x vCPUs). Watts are of one vCPU from the table of processors, low, mid and high, never a
 * socket's for a fraction of it. PUE is not in it: carbon applies it and says so.
 */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "energy/monitor.h"

struct fw_monitor {
	struct fw_processor processor;
	struct fw_memory_power memory;
};

struct estimate {
	double idle_j, dynamic_j;
};

static struct estimate estimate(const struct fw_interval *interval, double use, double min_w, double max_w)
{
	double vcpu_s = interval->duration_s * interval->worker->vcpus;

	return (struct estimate){vcpu_s * min_w, vcpu_s * use * (max_w - min_w)};
}

static struct fw_energy *add(struct fw_record *record, const char *domain, const char *flags)
{
	struct fw_energy *energy = fw_record_add_energy(record);

	energy->source = fw_strdup(fw_monitor_model.name);
	energy->method = fw_strdup(fw_monitor_model.method);
	energy->domain = fw_strdup(domain);
	energy->flags = fw_strdup(flags);
	return energy;
}

/* Without the CPU time any use is possible: the interval spans all of them, the mid is half. */
static void attribute_cpu(const struct fw_processor *p, const struct fw_interval *interval, struct fw_record *record)
{
	bool known = !isnan(interval->cpu_s);
	double use = known ? interval->cpu_s / (interval->duration_s * interval->worker->vcpus) : 0.5;
	double clipped = fmin(fmax(use, 0), 1);
	struct estimate low = estimate(interval, known ? clipped : 0, p->low_w_per_vcpu_min, p->low_w_per_vcpu_max);
	struct estimate mid = estimate(interval, clipped, p->mid_w_per_vcpu_min, p->mid_w_per_vcpu_max);
	struct estimate high = estimate(interval, known ? clipped : 1, p->high_w_per_vcpu_min, p->high_w_per_vcpu_max);
	struct fw_energy *energy = add(record, "package", known ? "modelled ok" : "modelled gap");

	energy->low = low.idle_j + low.dynamic_j;
	energy->joules = mid.idle_j + mid.dynamic_j;
	energy->high = high.idle_j + high.dynamic_j;
	energy->idle_j = mid.idle_j;
	energy->dynamic_j = mid.dynamic_j;
}

/* Memory draws what it draws whether it is used or not: all of it is the reservation's. Without one it is what was used. */
static void attribute_memory(const struct fw_memory_power *power, const struct fw_interval *interval,
                             struct fw_record *record)
{
	bool reserved = interval->worker->memory_mb > 0;
	double gb_s = (reserved ? (double)interval->worker->memory_mb : interval->memory_average_mb) / 1024 * interval->duration_s;
	struct fw_energy *energy = add(record, "dram", "modelled ok");

	energy->low = gb_s * power->low;
	energy->joules = gb_s * power->mid;
	energy->high = gb_s * power->high;
	energy->idle_j = energy->joules;
	energy->dynamic_j = 0;
}

static void model_attribute(struct fw_monitor *monitor, const struct fw_interval *interval, struct fw_record *record)
{
	if (!(interval->duration_s > 0))
		return;
	if (interval->worker->vcpus > 0)
		attribute_cpu(&monitor->processor, interval, record);
	if (interval->worker->memory_mb > 0 || !isnan(interval->memory_average_mb))
		attribute_memory(&monitor->memory, interval, record);
}

static int model_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	const struct fw_machine *machine = context->machine;

	if (!context->catalogue || !machine)
		return fw_fail(err, FW_E_ABSENT, "the model needs the table of processors");
	*monitor = fw_alloc(sizeof **monitor);
	fw_catalogue_processor(context->catalogue, machine->cpu_model, machine->vendor, machine->family, machine->model,
	                       &(*monitor)->processor);
	fw_catalogue_memory_power(context->catalogue, &(*monitor)->memory);
	return FW_OK;
}

static char *model_describe(struct fw_monitor *monitor)
{
	const struct fw_processor *p = &monitor->processor;

	return fw_printf("%s%s: %.2f (%.2f to %.2f) W per vCPU at rest, %.2f (%.2f to %.2f) W fully used, %.3f (%.3f to "
	                 "%.3f) W per GB",
	                 p->name, p->exact ? "" : " (by family)", p->mid_w_per_vcpu_min, p->low_w_per_vcpu_min,
	                 p->high_w_per_vcpu_min, p->mid_w_per_vcpu_max, p->low_w_per_vcpu_max, p->high_w_per_vcpu_max,
	                 monitor->memory.mid, monitor->memory.low, monitor->memory.high);
}

static void model_close(struct fw_monitor *monitor)
{
	free(monitor);
}

const struct fw_monitor_ops fw_monitor_model = {
	.name = "model",
	.method = "model/1",
	.gives = "energy (modelled, with an interval)",
	.open = model_open,
	.describe = model_describe,
	.attribute = model_attribute,
	.close = model_close,
};
