/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of the truth: truth.h.
 */
#include "truth.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

static FILE *open_file(const struct sim_truth *truth, const char *name)
{
	char path[600];

	snprintf(path, sizeof path, "%s/%s", truth->directory, name);
	FILE *file = fopen(path, "we");

	if (!file)
		fprintf(stderr, "energy-simulator: %s: %s\n", path, strerror(errno));
	else
		setvbuf(file, NULL, _IOFBF, 1 << 16);
	return file;
}

bool sim_truth_open(struct sim_truth *truth, const char *directory)
{
	snprintf(truth->directory, sizeof truth->directory, "%s", directory);
	if (mkdir(directory, 0755) != 0 && errno != EEXIST) {
		fprintf(stderr, "energy-simulator: %s: %s\n", directory, strerror(errno));
		return false;
	}
	return (truth->packages = open_file(truth, "packages")) && (truth->ran = open_file(truth, "ran")) &&
	       (truth->names = open_file(truth, "names"));
}

void sim_truth_flush(struct sim_truth *truth)
{
	fflush(truth->packages);
	fflush(truth->ran);
	fflush(truth->names);
}

static void write_trees(const struct sim_truth *truth, const struct sim_switches *switches, FILE *file)
{
	fprintf(file, " \"rest\": {\"cpu_s\": %.9f, \"dynamic_j\": %.9f},\n \"trees\": {", truth->cpu_s[SIM_REST],
	        truth->dynamic_j[SIM_REST]);
	for (unsigned i = 1; i < switches->tree_count; i++)
		fprintf(file, "%s\n  \"%s\": {\"number\": %u, \"cpu_s\": %.9f, \"dynamic_j\": %.9f}", i > 1 ? "," : "", switches->names[i],
		        i, truth->cpu_s[i], truth->dynamic_j[i]);
	fprintf(file, "},\n");
}

bool sim_truth_close(struct sim_truth *truth, const struct sim_switches *switches, unsigned packages)
{
	FILE *file = open_file(truth, "summary");

	if (!file)
		return false;
	fprintf(file, "{\"begin_ns\": %" PRIu64 ", \"end_ns\": %" PRIu64 ", \"updates\": %" PRIu64 ", \"latest_ns\": %" PRIu64 ",\n",
	        truth->begin_ns, truth->end_ns, truth->updates, truth->latest_ns);
	write_trees(truth, switches, file);
	fprintf(file, " \"packages\": [");
	for (unsigned i = 0; i < packages; i++)
		fprintf(file, "%s{\"floor_j\": %.9f, \"dynamic_j\": %.9f}", i ? ", " : "", truth->package_floor_j[i],
		        truth->package_dynamic_j[i]);
	fprintf(file, "]}\n");
	bool written = fclose(truth->packages) == 0;

	written &= fclose(truth->ran) == 0;
	written &= fclose(truth->names) == 0;
	return (fclose(file) == 0) & written;
}
