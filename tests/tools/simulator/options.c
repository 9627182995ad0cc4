/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of the simulator. Power: --floor, --core (watts of a busy CPU), --dram-floor, --dram-core, --frequency
 * SECONDS:FACTOR (again and again, rising), --packages. Counters: --update-us, --jitter-us, --unit-nj, --bits, --start-uj.
 * --groups is how names of control groups begin that are told apart; --pmu 1 shows the power PMU as well.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "simulator.h"

static bool add_step(struct sim_model *model, const char *text)
{
	double seconds, factor;

	if (model->step_count == SIM_STEPS || sscanf(text, "%lf:%lf", &seconds, &factor) != 2 || seconds < 0 || factor < 0)
		return false;
	model->steps[model->step_count++] = (struct sim_step){(uint64_t)(seconds * 1e9), factor};
	return true;
}

static bool set_option(struct simulator *sim, const char *name, const char *text)
{
	const struct {
		const char *name;
		double *value;
	} watts[] = {{"floor", &sim->model.package.floor},
	             {"core", &sim->model.package.core},
	             {"dram-floor", &sim->model.dram.floor},
	             {"dram-core", &sim->model.dram.core}};
	const struct {
		const char *name;
		uint64_t *value, scale;
	} counts[] = {{"update-us", &sim->update_ns, 1000},
	              {"jitter-us", &sim->jitter_ns, 1000},
	              {"unit-nj", &sim->counter.unit_nj, 1},
	              {"start-uj", &sim->counter.start_uj, 1},
	              {"pmu", &sim->with_pmu, 1}};

	for (size_t i = 0; i < sizeof watts / sizeof *watts; i++)
		if (strcmp(name, watts[i].name) == 0)
			return sscanf(text, "%lf", watts[i].value) == 1 && *watts[i].value >= 0;
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		if (strcmp(name, counts[i].name) == 0) {
			*counts[i].value = strtoull(text, NULL, 10) * counts[i].scale;
			return true;
		}
	if (strcmp(name, "frequency") == 0)
		return add_step(&sim->model, text);
	if (strcmp(name, "bits") == 0)
		return sscanf(text, "%u", &sim->counter.bits) == 1 && sim->counter.bits >= 8 && sim->counter.bits <= 48;
	if (strcmp(name, "packages") == 0)
		return sscanf(text, "%u", &sim->packages) == 1 && sim->packages >= 1 && sim->packages <= SIM_PACKAGES;
	if (strcmp(name, "truth") == 0)
		return (size_t)snprintf(sim->truth_directory, sizeof sim->truth_directory, "%s", text) < sizeof sim->truth_directory;
	*(strcmp(name, "root") == 0 ? &sim->root : &sim->prefix) = text;
	return true;
}

bool sim_options_read(struct simulator *sim, int count, char **arguments)
{
	static const struct option options[] = {
		{"root", required_argument, NULL, 0},      {"truth", required_argument, NULL, 0},
		{"packages", required_argument, NULL, 0},  {"floor", required_argument, NULL, 0},
		{"core", required_argument, NULL, 0},      {"dram-floor", required_argument, NULL, 0},
		{"dram-core", required_argument, NULL, 0}, {"frequency", required_argument, NULL, 0}, /* SECONDS:FACTOR, again */
		{"update-us", required_argument, NULL, 0}, {"jitter-us", required_argument, NULL, 0},
		{"unit-nj", required_argument, NULL, 0},   {"bits", required_argument, NULL, 0},
		{"start-uj", required_argument, NULL, 0},  {"groups", required_argument, NULL, 0}, /* prefix of control groups */
		{"pmu", required_argument, NULL, 0},
		{NULL, 0, NULL, 0},
	};
	int index;

	for (int found; (found = getopt_long(count, arguments, "", options, &index)) != -1;)
		if (found != 0 || !set_option(sim, options[index].name, optarg)) {
			fprintf(stderr, "energy-simulator: bad option or value\n");
			return false;
		}
	if (!sim->root || sim->root[0] != '/' || strlen(sim->root) > 300 || sim->counter.unit_nj == 0 || sim->update_ns < 100000) {
		fprintf(stderr, "usage: energy-simulator --root DIR [options]: DIR absolute, --update-us at least 100\n");
		return false;
	}
	if (!sim->truth_directory[0])
		snprintf(sim->truth_directory, sizeof sim->truth_directory, "%s/truth", sim->root);
	return true;
}
