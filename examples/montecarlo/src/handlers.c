/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootstrap of the Monte Carlo application: `estimate` draws a worker's share of the points, `combine` adds the shares up.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "../../common/figures.h"
#include "flexwatt/function.h"
#include "points.h"

#define SHARE "{\"points\": %" PRIu64 ", \"inside\": %" PRIu64 "}\n" /* what a worker writes and `combine` reads */

struct estimate {
	double pi, error, standard_error; /* the last from the points alone: 4 sqrt(p (1 - p) / n) */
};

static struct estimate estimate_of(uint64_t points, uint64_t inside)
{
	double share = (double)inside / (double)points, pi = 4 * share;

	return (struct estimate){pi, fabs(pi - M_PI), 4 * sqrt(share * (1 - share) / (double)points)};
}

/* "40,000,000" */
static const char *grouped(uint64_t number, char text[32])
{
	char digits[24], *out = text;
	int count = snprintf(digits, sizeof digits, "%" PRIu64, number);

	for (int i = 0; i < count; i++) {
		if (i > 0 && (count - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return text;
}

static double seconds_since(const struct timespec *began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - began->tv_sec) + 1e-9 * (double)(now.tv_nsec - began->tv_nsec);
}

static void tell(struct fw_invocation *invocation, uint64_t done, uint64_t inside, uint64_t share, const struct timespec *began)
{
	char note[96], points[32];

	snprintf(note, sizeof note, "π = %.5f after %s points, %.1f s", estimate_of(done, inside).pi, grouped(done, points),
	         seconds_since(began));
	fw_progress(invocation, (double)done, (double)share, note);
}

static int read_share(struct fw_invocation *invocation, uint64_t *share, uint64_t *batch)
{
	int64_t points = fw_param_integer(invocation, "points", 100000000);
	int64_t iteration = fw_param_integer(invocation, "points_per_iteration", 100000);
	int64_t workers = fw_workers(invocation), task = fw_task(invocation);

	if (points < 1 || iteration < 1)
		return fw_fail_invocation(invocation, "MonteCarlo.BadParameter",
		                          "points is %" PRId64 ", points_per_iteration %" PRId64 ": both must be 1 or more", points,
		                          iteration);
	*share = (uint64_t)(points / workers + (task < points % workers));
	/* What is left of a step is lost: only the last iteration may end within one, or the points would depend on their length. */
	*batch = ((uint64_t)iteration + POINTS_STEP - 1) / POINTS_STEP * POINTS_STEP;
	return FW_OK;
}

static int estimate(struct fw_invocation *invocation)
{
	struct points_stream stream;
	struct timespec began;
	uint64_t share = 0, batch = 0, done = 0, inside = 0;
	char text[96];

	if (read_share(invocation, &share, &batch) != FW_OK)
		return FW_ERROR;
	clock_gettime(CLOCK_MONOTONIC, &began);
	points_open(&stream, (uint64_t)fw_param_integer(invocation, "seed", 42), (uint64_t)fw_task(invocation));
	while (done < share) {
		uint64_t count = share - done < batch ? share - done : batch;

		inside += points_inside(&stream, count);
		done += count;
		tell(invocation, done, inside, share, &began);
	}
	fw_units(invocation, (double)share);
	int length = snprintf(text, sizeof text, SHARE, share, inside);
	return fw_write_output(invocation, fw_output_path(invocation, "shares", NULL), text, (size_t)length);
}

static int add_share(struct fw_invocation *invocation, const struct fw_object *object, uint64_t *points, uint64_t *inside)
{
	uint64_t more = 0, more_inside = 0;
	char text[128];

	if (!figures_read(object->path, text, sizeof text) || !figure_behind(text, "\"points\": ", &more) ||
	    !figure_behind(text, "\"inside\": ", &more_inside) || more_inside > more || more > INT64_MAX / 2 || *points > INT64_MAX / 2)
		return fw_fail_invocation(invocation, "MonteCarlo.Corrupt", "%s: not the share of a worker", object->uri);
	*points += more;
	*inside += more_inside;
	return FW_OK;
}

static int combine(struct fw_invocation *invocation)
{
	uint64_t points = 0, inside = 0;
	struct fw_object object;
	char text[256];
	int rc;

	while ((rc = fw_next_input(invocation, "shares", &object)) == FW_OK)
		if (add_share(invocation, &object, &points, &inside) != FW_OK)
			return FW_ERROR;
	if (rc == FW_ERROR)
		return FW_ERROR;
	if (points == 0)
		return fw_fail_invocation(invocation, "MonteCarlo.NoPoints", "no worker drew a point");
	struct estimate found = estimate_of(points, inside);
	fw_metric(invocation, "pi", found.pi);
	fw_metric(invocation, "pi_error", found.error);
	fw_metric(invocation, "pi_standard_error", found.standard_error);
	fw_units(invocation, (double)points);
	int length = snprintf(text, sizeof text,
	                      "{\"pi\": %.9f, \"points\": %" PRIu64 ", \"inside\": %" PRIu64
	                      ", \"error\": %.9f, \"standard_error\": %.9f}\n",
	                      found.pi, points, inside, found.error, found.standard_error);
	fw_result(invocation, text);
	return fw_write_output(invocation, fw_output_path(invocation, "estimate", NULL), text, (size_t)length);
}

FW_FUNCTIONS({"estimate", estimate}, {"combine", combine})
