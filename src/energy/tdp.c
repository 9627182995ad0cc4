/* SPDX-License-Identifier: Apache-2.0
 *
 * TDP x CPU use of the machine x time: the estimate that many tools print. It takes the whole socket's TDP for the CPUs
 * that this machine sees, be they two of a hundred, and knows no idle power. It stands beside the others so that its
 * error can be shown; totals and carbon never use it. The method gives no interval: low and high stay null.
 */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "energy/monitor.h"

struct fw_monitor {
	struct fw_processor processor;
	double cpus; /* of the machine, as system-wide CPU use counts them */
};

static void tdp_attribute(struct fw_monitor *monitor, const struct fw_interval *interval, struct fw_record *record)
{
	if (isnan(interval->cpu_s) || !(interval->duration_s > 0))
		return;
	struct fw_energy *energy = fw_record_add_energy(record);
	double use = interval->cpu_s / (interval->duration_s * monitor->cpus);

	energy->source = fw_strdup(fw_monitor_tdp.name);
	energy->method = fw_strdup(fw_monitor_tdp.method);
	energy->domain = fw_strdup("package");
	energy->flags = fw_strdup("modelled");
	energy->joules = monitor->processor.tdp_w * use * interval->duration_s;
	energy->dynamic_j = energy->joules;
	energy->idle_j = 0;
}

static int tdp_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	const struct fw_machine *machine = context->machine;

	if (!context->catalogue || !machine || machine->threads == 0)
		return fw_fail(err, FW_E_ABSENT, "TDP needs the table of processors");
	*monitor = fw_alloc(sizeof **monitor);
	fw_catalogue_processor(context->catalogue, machine->cpu_model, machine->vendor, machine->family, machine->model,
	                       &(*monitor)->processor);
	(*monitor)->cpus = machine->threads;
	return FW_OK;
}

static char *tdp_describe(struct fw_monitor *monitor)
{
	return fw_printf("%s: %.0f W x CPU use of %.0f CPUs; for comparison alone", monitor->processor.name,
	                 monitor->processor.tdp_w, monitor->cpus);
}

static void tdp_close(struct fw_monitor *monitor)
{
	free(monitor);
}

const struct fw_monitor_ops fw_monitor_tdp = {
	.name = "tdp",
	.method = "tdp/1",
	.gives = "energy for comparison alone, in no total (the whole processor's TDP x CPU use of this machine, no interval)",
	.open = tdp_open,
	.describe = tdp_describe,
	.attribute = tdp_attribute,
	.close = tdp_close,
};
