/* SPDX-License-Identifier: Apache-2.0
 *
 * Prices of slices, accounts of invocations, books of pools. Joules are never negative, parts never exceed the whole.
 */
#include "energy/ledger.h"

#include <assert.h>
#include <math.h>

/* Half-widths are bounds of errors that are as likely anywhere within: their standard deviation, and 95 of 100. */
#define VARIANCE_OF_BOUND (1.0 / 3.0)
#define Z95 1.96

struct fw_slice_price fw_price_of(const struct fw_slice *slice, double known_work)
{
	struct fw_slice_price price = {
		.seconds = slice->seconds,
		.work = fmax(slice->work, known_work),
		.counter_half_j = slice->counter_half_j,
		.lost_j = slice->lost_j,
		.floor_half_w = slice->floor_half_w,
		.unevenness = slice->unevenness,
		.is_coarse = slice->is_coarse,
		.flags = slice->flags,
	};
	double floor_j = slice->floor_w * slice->seconds;

	if (!(slice->joules > 0))
		return price;
	price.idle_j = fmin(floor_j, slice->joules);
	price.dynamic_j = slice->joules - price.idle_j;
	if (price.work > 0)
		price.per_work_j = price.dynamic_j / price.work;
	return price;
}

static double square(double value)
{
	return value * value;
}

static double ratio(double part, double whole)
{
	return whole > 0 ? fmin(fmax(part / whole, 0), 1) : 0;
}

/* Where a slice is shared at an edge, price may differ between the two sides: it is certain when all the work was the
 * invocation's, and as uneven as prices are when nearly none was. */
static double edge_half_j(const struct fw_slice_price *price, const struct fw_part *part, double part_j, double share)
{
	return part->at_edge || price->is_coarse ? price->unevenness * part_j * (1 - share) : 0;
}

void fw_account_add(struct fw_account *account, const struct fw_slice_price *price, const struct fw_part *part)
{
	double share = ratio(part->work, price->work), time = ratio(part->seconds, price->seconds);
	double dynamic_j = price->dynamic_j * share, idle_j = price->idle_j * part->reserved * time;
	double floor_j = price->floor_half_w * price->seconds;
	double ends = (part->at_begin ? 1 : 0) + (part->at_end ? 1 : 0);

	account->seconds += part->seconds;
	account->work += part->work;
	account->dynamic_j += dynamic_j;
	account->idle_j += idle_j;
	account->lost_j += price->lost_j * fmax(share, part->reserved * time);
	account->floor_dynamic_j += floor_j * share;
	account->floor_idle_j += floor_j * part->reserved * time;
	account->variance_j2 += VARIANCE_OF_BOUND * (ends * square(price->counter_half_j * share) +
	                                             square(price->counter_half_j * part->share_change) +
	                                             square(edge_half_j(price, part, dynamic_j, share)) +
	                                             square(price->per_work_j * part->work_half));
	account->flags |= price->flags;
}

void fw_account_sum(struct fw_account *sum, const struct fw_account *account, double sign)
{
	sum->seconds += sign * account->seconds;
	sum->work += sign * account->work;
	sum->dynamic_j += sign * account->dynamic_j;
	sum->idle_j += sign * account->idle_j;
	sum->lost_j += sign * account->lost_j;
	sum->floor_idle_j += sign * account->floor_idle_j;
	sum->floor_dynamic_j += sign * account->floor_dynamic_j;
	sum->variance_j2 += sign * account->variance_j2;
}

struct fw_figure fw_account_figure(const struct fw_account *account)
{
	double random_j = Z95 * sqrt(account->variance_j2);
	double floor_j = fabs(account->floor_idle_j - account->floor_dynamic_j);
	double half_j = hypot(random_j, floor_j), dynamic_half_j = hypot(random_j, account->floor_dynamic_j);
	double joules = account->dynamic_j + account->idle_j;

	return (struct fw_figure){
		.joules = joules,
		.low = fmax(joules - half_j, 0),
		.high = joules + half_j + account->lost_j,
		.dynamic_j = account->dynamic_j,
		.dynamic_low = fmax(account->dynamic_j - dynamic_half_j, 0),
		.dynamic_high = account->dynamic_j + dynamic_half_j + account->lost_j,
		.idle_j = account->idle_j,
		.flags = account->flags,
	};
}

/* ---- how uneven prices are ---- */

#define UNEVEN_AT_FIRST 0.5
#define UNEVEN_LEAST_BUSY 0.05
#define UNEVEN_MOST_NOISE 0.25 /* of the counter, in a slice that tells something */
#define UNEVEN_LEAST_WEIGHT 0.05
#define UNEVEN_LEAST 0.01
#define UNEVEN_A_SECOND 0.5 /* what may have happened meanwhile */

void fw_unevenness_add(struct fw_unevenness *unevenness, const struct fw_slice_price *price, double busy)
{
	double noise = ratio(price->counter_half_j, price->dynamic_j), before = unevenness->per_work_j;

	if (busy < UNEVEN_LEAST_BUSY || !(price->per_work_j > 0) || noise > UNEVEN_MOST_NOISE)
		return;
	unevenness->per_work_j = price->per_work_j;
	if (before <= 0)
		return;
	double difference = 2 * (price->per_work_j - before) / (price->per_work_j + before);
	double weight = fmax(1 / (unevenness->slices + 2), UNEVEN_LEAST_WEIGHT);

	if (unevenness->slices == 0)
		unevenness->square = square(UNEVEN_AT_FIRST);
	unevenness->square += weight * (square(difference) - unevenness->square);
	unevenness->slices++;
}

double fw_unevenness_now(const struct fw_unevenness *unevenness, double seconds)
{
	double learnt = fmax(sqrt(unevenness->square), UNEVEN_LEAST);

	if (unevenness->slices == 0)
		return UNEVEN_AT_FIRST;
	return fmin(fmax(learnt, seconds * UNEVEN_A_SECOND), UNEVEN_AT_FIRST);
}

void fw_books_add(struct fw_books *books, const struct fw_slice_price *price, double workers_dynamic_j, double workers_idle_j)
{
	assert(workers_dynamic_j <= price->dynamic_j * (1 + 1e-9) + 1e-12);
	assert(workers_idle_j <= price->idle_j * (1 + 1e-9) + 1e-12);
	books->measured_j += price->idle_j + price->dynamic_j;
	books->workers_dynamic_j += workers_dynamic_j;
	books->workers_idle_j += workers_idle_j;
	books->system_dynamic_j += price->dynamic_j - workers_dynamic_j;
	books->system_idle_j += price->idle_j - workers_idle_j;
	books->lost_j += price->lost_j;
	books->seconds += price->seconds;
	assert(fabs(fw_books_residual(books)) <= 1e-9 * (books->measured_j + 1));
}

double fw_books_residual(const struct fw_books *books)
{
	return books->measured_j - (books->workers_dynamic_j + books->workers_idle_j + books->system_dynamic_j +
	                            books->system_idle_j);
}
