/* SPDX-License-Identifier: Apache-2.0
 *
 * Each wrong usage is one error with a hint that shows the right one.
 */
#include <math.h>

#include "base/str.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/measure_wishes.h"

enum { MOST_REPETITIONS = 10000 }; /* all are kept until the report: a few kilobytes each */
#define LONGEST_MS (365ull * 24 * 3600 * 1000)

int fw_measure_check_region(const struct fw_catalogue *catalogue, const char *region, struct fw_error **err)
{
	struct fw_price price;
	struct fw_grid grid;
	int rc = fw_catalogue_price(catalogue, region, "x86_64", &price, err);

	if (rc == FW_OK)
		rc = fw_catalogue_grid(catalogue, region, &grid, err);
	return rc == FW_OK ? rc : fw_error_wrap(err, FW_E_USAGE, "measure: --region %s", region);
}

static int read_duration(const char *option, const char *text, uint64_t *ns, struct fw_error **err)
{
	uint64_t ms = 0;

	if (fw_duration_ms(text, &ms) && ms > 0 && ms <= LONGEST_MS) {
		*ns = ms * FW_NS_PER_MS;
		return FW_OK;
	}
	int rc = ms > LONGEST_MS ? fw_fail(err, FW_E_USAGE, "measure: %s %s: a year is the longest", option, text)
	                         : fw_fail(err, FW_E_USAGE, "measure: %s '%s' is not a time", option, text);

	return fw_error_hint(err, rc, "a whole number with ms, s, m or h: %s 10s", option);
}

int fw_measure_check_wishes(struct fw_measure_wishes *wishes, bool command, struct fw_error **err)
{
	int rc = FW_OK, things = command + (wishes->pid > 0) + (wishes->system_text != NULL);

	if (things != 1)
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, things ? "measure: a command, --pid or --system: one of them"
		                                                          : "measure: nothing to measure"),
		                     "flexwatt measure -- COMMAND; flexwatt measure --pid PID; flexwatt measure --system 10s");
	if (!command && (wishes->repeat > 0 || wishes->memory_mb > 0))
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "measure: --repeat and --memory go with a command"),
		                     "flexwatt measure --repeat 5 --memory 512 -- COMMAND");
	if (wishes->shares && wishes->system_text)
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "measure: --shares goes with a command or --pid"), "the whole machine's memory is nobody's share");
	if (wishes->for_text && wishes->pid == 0)
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "measure: --for goes with --pid"),
		                     "flexwatt measure --pid PID --for 30s; a command is measured until it ends");
	if (wishes->memory_mb > 10240 || (wishes->memory_mb > 0 && wishes->memory_mb < 128))
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "measure: --memory %lld: Lambda has 128 to 10240 MB",
		                                  (long long)wishes->memory_mb),
		                     "without --memory: the smallest that fits the command's peak");
	if (wishes->repeat > MOST_REPETITIONS)
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "measure: --repeat %lld: %d are the most", (long long)wishes->repeat,
		                                  MOST_REPETITIONS),
		                     "--repeat 30 gives a narrow interval; a short command is repeated within one: sh -c 'for …'");
	wishes->cpus = NAN;
	if (wishes->cpus_text && !(fw_str_to_double(fw_str_of(wishes->cpus_text), &wishes->cpus) && wishes->cpus > 0))
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "measure: --cpus '%s' is no number of CPUs", wishes->cpus_text),
		                     "--cpus 0.5: the idle power of half a CPU is its own");
	if (wishes->for_text)
		rc = read_duration("--for", wishes->for_text, &wishes->for_ns, err);
	if (rc == FW_OK && wishes->system_text)
		rc = read_duration("--system", wishes->system_text, &wishes->for_ns, err);
	if (wishes->repeat == 0)
		wishes->repeat = 1;
	return rc;
}

int fw_measure_check_cpus(const struct fw_machine *machine, const struct fw_measure_wishes *wishes, struct fw_error **err)
{
	if (isnan(wishes->cpus) || wishes->cpus <= machine->threads)
		return FW_OK;
	int rc = fw_fail(err, FW_E_USAGE, "measure: --cpus %s: this machine has %u", wishes->cpus_text, machine->threads);

	return fw_error_hint(err, rc, "--cpus %u: the idle power of the whole machine is its own", machine->threads);
}
