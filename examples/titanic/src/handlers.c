/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootstrap of the Titanic application: `train` grows a forest on its range of the lists and judges it on a fifth that the
 * forest has not seen, `summarise` averages what the workers found.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "../../common/cpus.h"
#include "../../common/figures.h"
#include "forest.h"
#include "passengers.h"

enum { LEAST_ROWS = 10 }; /* fewer leave nothing to learn from or to judge by */

static bool is_of_one_kind(const float *labels, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (labels[i] != labels[0])
			return false;
	return true;
}

static int write_findings(struct fw_invocation *invocation, struct forest *forest, const struct passengers *passengers,
                          size_t tested, int64_t right)
{
	const char *model = fw_output_path(invocation, "models", NULL);
	double accuracy = (double)right / (double)tested;
	char text[256];

	if (!model)
		return FW_ERROR;
	fw_write_begin(invocation);
	int rc = forest_save(forest, model);
	fw_write_end(invocation);
	if (rc != 0)
		return fw_fail_invocation(invocation, "Titanic.Write", "%s: %.300s", model, forest_error());
	fw_metric(invocation, "accuracy", accuracy);
	fw_units(invocation, (double)(passengers->count + passengers->dropped));
	int length = snprintf(text, sizeof text,
	                      "{\"rows\": %zu, \"dropped\": %zu, \"tested\": %zu, \"right\": %" PRId64 ", \"accuracy\": %.6f}\n",
	                      passengers->count + passengers->dropped, passengers->dropped, tested, right, accuracy);
	return fw_write_output(invocation, fw_output_path(invocation, "findings", NULL), text, (size_t)length);
}

static int read_count(struct fw_invocation *invocation, const char *name, int64_t fallback, int64_t most, int *count)
{
	int64_t given = fw_param_integer(invocation, name, fallback);

	if (given < 1 || given > most)
		return fw_fail_invocation(invocation, "Titanic.BadParameter", "%s is %" PRId64 ": it must be 1 to %" PRId64, name, given, most);
	*count = (int)given;
	return FW_OK;
}

static int read_options(struct fw_invocation *invocation, struct forest_options *options)
{
	options->seed = (uint64_t)fw_param_integer(invocation, "seed", 42);
	if (read_count(invocation, "trees", 100, 100000, &options->trees) != FW_OK ||
	    read_count(invocation, "depth", 10, 64, &options->depth) != FW_OK)
		return FW_ERROR;
	return read_count(invocation, "threads", paid_cpus(6), 256, &options->threads);
}

static int grow_and_judge(struct fw_invocation *invocation, const struct forest_options *options,
                          const struct passengers *passengers)
{
	size_t tested = passengers->count / 5, trained = passengers->count - tested;
	const float *rows = passengers->features[0], *unseen = passengers->features[trained];

	if (passengers->count < LEAST_ROWS || is_of_one_kind(passengers->survived, trained))
		return fw_fail_invocation(invocation, "Titanic.TooFewRows",
		                          "%zu rows without a missing cell (%zu have one): too few to learn who survives",
		                          passengers->count, passengers->dropped);
	struct forest *forest = forest_grow(rows, passengers->survived, trained, PASSENGER_FEATURES, options);
	int64_t right = forest ? forest_right(forest, unseen, passengers->survived + trained, tested, PASSENGER_FEATURES) : -1;
	int rc = right < 0 ? fw_fail_invocation(invocation, "Titanic.Forest", "%.300s", forest_error())
	                   : write_findings(invocation, forest, passengers, tested, right);
	forest_free(forest);
	return rc;
}

static int train(struct fw_invocation *invocation)
{
	struct passengers passengers = {0};
	struct forest_options options = {0};
	int rc = read_options(invocation, &options);

	if (rc == FW_OK)
		rc = passengers_read(invocation, "lists", &passengers);
	if (rc == FW_OK) {
		passengers_shuffle(&passengers, options.seed);
		rc = grow_and_judge(invocation, &options, &passengers);
	}
	passengers_done(&passengers);
	return rc;
}

static int add_findings(struct fw_invocation *invocation, const struct fw_object *object, uint64_t *tested, uint64_t *right)
{
	uint64_t more = 0, more_right = 0;
	char text[256];

	if (!figures_read(object->path, text, sizeof text) || !figure_behind(text, "\"tested\": ", &more) ||
	    !figure_behind(text, "\"right\": ", &more_right) || more == 0 || more_right > more || more > INT64_MAX / 2 ||
	    *tested > INT64_MAX / 2)
		return fw_fail_invocation(invocation, "Titanic.Corrupt", "%s: not the findings of a worker", object->uri);
	*tested += more;
	*right += more_right;
	return FW_OK;
}

static int summarise(struct fw_invocation *invocation)
{
	uint64_t tested = 0, right = 0;
	struct fw_object object;
	char text[128];
	int forests = 0, rc;

	while ((rc = fw_next_input(invocation, "findings", &object)) == FW_OK) {
		if (add_findings(invocation, &object, &tested, &right) != FW_OK)
			return FW_ERROR;
		forests++;
	}
	if (rc == FW_ERROR)
		return FW_ERROR;
	if (forests == 0)
		return fw_fail_invocation(invocation, "Titanic.NoFindings", "no worker grew a forest");
	double accuracy = (double)right / (double)tested;
	fw_metric(invocation, "accuracy", accuracy);
	int length = snprintf(text, sizeof text, "{\"forests\": %d, \"tested\": %" PRIu64 ", \"accuracy\": %.6f}\n", forests, tested,
	                      accuracy);
	fw_result(invocation, text);
	return fw_write_output(invocation, fw_output_path(invocation, "summary", NULL), text, (size_t)length);
}

FW_FUNCTIONS({"train", train}, {"summarise", summarise})
