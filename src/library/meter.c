/* SPDX-License-Identifier: Apache-2.0
 *
 * The embeddable meter: a span of one process tree behind a C interface that other programs and languages can bind. Each meter
 * has an EnergyManager of its own, so that meters of the same process never count as two consumers of one machine.
 * Structures carry their size: a caller that was built with an older header gets what it knows.
 */
#include "flexwatt/flexwatt.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "energy/here.h"
#include "energy/span.h"
#include "host/procfs.h"

struct fw_meter {
	pid_t maker; /* the process that started it: its thread is only there */
	pid_t pid;
	struct fw_energy_here *here;
	struct fw_span *span;
	const struct fw_span_totals *totals;
	char *region;
};

static int fail(struct fw_error *reason, char *error, size_t size)
{
	const char *hint = reason ? fw_error_hint_text(reason) : NULL;

	if (error && size > 0)
		snprintf(error, size, "%s%s%s%s", reason ? fw_error_message(reason) : "failed", hint ? " (" : "", hint ? hint : "",
		         hint ? ")" : "");
	fw_error_free(reason);
	return -1;
}

static void meter_free(struct fw_meter *meter)
{
	fw_span_free(meter->span);
	fw_energy_here_close(meter->here);
	free(meter->region);
	free(meter);
}

static int take_options(const struct fw_meter_options *options, struct fw_meter_options *wanted, struct fw_error **err)
{
	if (options)
		memcpy(wanted, options, options->size < sizeof *wanted ? options->size : sizeof *wanted);
	if (wanted->pid < 0 || wanted->pid > INT32_MAX || (wanted->pid > 0 && !fw_process_is_there((pid_t)wanted->pid)))
		return fw_fail(err, FW_E_ABSENT, "no process %lld", (long long)wanted->pid);
	if (wanted->pid > 0 && !fw_process_runs((pid_t)wanted->pid))
		return fw_fail(err, FW_E_ABSENT, "process %lld has ended; its parent has not waited for it yet", (long long)wanted->pid);
	if (!(wanted->cpus >= 0 && isfinite(wanted->cpus)))
		return fw_fail(err, FW_E_USAGE, "cpus is no number of CPUs: %g", wanted->cpus);
	return FW_OK;
}

static int start(const struct fw_meter_options *options, struct fw_meter *meter, struct fw_error **err)
{
	struct fw_meter_options wanted = FW_METER_OPTIONS;
	struct fw_metered metered = {0};
	struct fw_grid grid;
	int rc = take_options(options, &wanted, err);

	if (rc == FW_OK)
		rc = fw_energy_here_open(true, NULL, &meter->here, err);
	meter->region = fw_strdup(wanted.region ? wanted.region : "eu-central-1");
	if (rc == FW_OK)
		rc = fw_catalogue_grid(meter->here->catalogue, meter->region, &grid, err);
	if (rc != FW_OK)
		return rc;
	meter->maker = getpid();
	meter->pid = metered.pid = wanted.pid > 0 ? (pid_t)wanted.pid : meter->maker;
	metered.keeps_seen = true;
	fw_energy_here_reserve(meter->here, wanted.cpus > 0 ? wanted.cpus : NAN, &metered);
	meter->span = fw_span_begin(meter->here->manager, &metered);
	return FW_OK;
}

int fw_meter_start(const struct fw_meter_options *options, struct fw_meter **meter, char *error, size_t size)
{
	struct fw_meter *fresh = fw_alloc(sizeof *fresh);
	struct fw_error *reason = NULL;

	if (start(options, fresh, &reason) != FW_OK) {
		meter_free(fresh);
		return fail(reason, error, size);
	}
	*meter = fresh;
	return 0;
}

static void fill_energy(const struct fw_record *record, struct fw_meter_figures *figures)
{
	struct fw_energy_sum sum = {NAN, NAN, NAN, NAN, NAN, false, ""};

	if (!fw_energy_best(record, &sum))
		sum = (struct fw_energy_sum){NAN, NAN, NAN, NAN, NAN, false, ""};
	figures->joules = sum.joules;
	figures->joules_low = sum.low;
	figures->joules_high = sum.high;
	figures->joules_dynamic = sum.dynamic_j;
	figures->joules_idle = sum.idle_j;
	figures->watts = fw_energy_watts(&sum, figures->seconds);
	figures->modelled = sum.modelled;
	snprintf(figures->source, sizeof figures->source, "%s", sum.source);
}

static int fill(struct fw_meter *meter, struct fw_meter_figures *out, struct fw_error **err)
{
	struct fw_meter_figures figures = FW_METER_FIGURES;
	const struct fw_machine *machine = &meter->here->machine;
	struct fw_record carbon;
	struct fw_processor processor;

	fw_record_init(&carbon);
	fw_span_add(&carbon, &meter->totals->record);
	carbon.duration_ms = meter->totals->record.duration_ms;
	carbon.vcpus = meter->totals->record.vcpus;
	carbon.cpus_visible = machine->cpus_allowed;
	fw_catalogue_processor(meter->here->catalogue, machine->cpu_model, machine->vendor, machine->family, machine->model, &processor);
	int rc = fw_carbon_fill(meter->here->catalogue, meter->region, &processor, &carbon, err);

	figures.seconds = carbon.duration_ms / 1000;
	figures.cpu_seconds = (carbon.cpu_user_ms + carbon.cpu_system_ms) / 1000;
	figures.memory_peak_mb = carbon.memory_peak_mb;
	figures.operational_gco2e = carbon.operational_gco2e;
	figures.embodied_gco2e = carbon.embodied_gco2e;
	fill_energy(&carbon, &figures);
	snprintf(figures.methods, sizeof figures.methods, "%s", carbon.method_version ? carbon.method_version : "");
	fw_record_done(&carbon);
	if (rc != FW_OK)
		return rc;
	figures.size = out->size < sizeof figures ? out->size : sizeof figures;
	memcpy(out, &figures, figures.size);
	return FW_OK;
}

static int check_maker(const struct fw_meter *meter, struct fw_error **err)
{
	return meter->maker == getpid() ? FW_OK : fw_fail(err, FW_E_UNAVAILABLE, "the meter was started before fork(): it is the parent's");
}

int fw_meter_read(struct fw_meter *meter, struct fw_meter_figures *figures, char *error, size_t size)
{
	struct fw_error *reason = NULL;
	int rc = check_maker(meter, &reason);

	if (rc == FW_OK && !figures) {
		rc = fw_fail(&reason, FW_E_USAGE, "no place for the figures");
	} else if (rc == FW_OK) {
		/* What has ended cannot be cut: its end, whose last reading is that of a moment ago, is the last of it. */
		meter->totals = fw_process_runs(meter->pid) ? fw_span_read(meter->span) : fw_span_end(meter->span, false);
		rc = fill(meter, figures, &reason);
	}
	return rc == FW_OK ? 0 : fail(reason, error, size);
}

size_t fw_meter_energies(const struct fw_meter *meter, struct fw_meter_energy *energies, size_t count)
{
	const struct fw_record *record = meter->totals && meter->maker == getpid() ? &meter->totals->record : NULL;
	size_t known = record ? record->energy.count : 0;

	for (size_t i = 0; i < known && i < count; i++) {
		const struct fw_energy *energy = &record->energy.items[i];
		struct fw_meter_energy one = {.joules = energy->joules, .low = energy->low, .high = energy->high,
		                              .dynamic_j = energy->dynamic_j, .idle_j = energy->idle_j};

		snprintf(one.source, sizeof one.source, "%s", energy->source);
		snprintf(one.domain, sizeof one.domain, "%s", energy->domain);
		snprintf(one.flags, sizeof one.flags, "%s", energy->flags ? energy->flags : "");
		/* Elements lie as far apart as the caller's structure is large. */
		char *place = (char *)energies + i * energies->size;

		one.size = energies->size;
		memcpy(place, &one, one.size < sizeof one ? one.size : sizeof one);
	}
	return known;
}

int fw_meter_stop(struct fw_meter *meter, struct fw_meter_figures *figures, char *error, size_t size)
{
	struct fw_error *reason = NULL;

	if (!meter)
		return 0;
	int rc = check_maker(meter, &reason);

	if (rc != FW_OK) {
		/* Its thread and its locks are the parent's: what it holds here is left to the end of this process. */
		free(meter->region);
		free(meter);
		return fail(reason, error, size);
	}
	if (figures) {
		meter->totals = fw_span_end(meter->span, fw_process_runs(meter->pid));
		rc = fill(meter, figures, &reason);
	}
	meter_free(meter);
	return rc == FW_OK ? 0 : fail(reason, error, size);
}

const char *fw_meter_version(void)
{
	return FW_VERSION;
}
