/* SPDX-License-Identifier: Apache-2.0
 *
 * flexwatt runs: lists what the store knows; `runs rm` and `runs prune` delete rows, logs, attempts and outputs.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/str.h"
#include "base/time.h"
#include "base/tree.h"
#include "cli/commands.h"
#include "cli/store_path.h"
#include "cli/terminal.h"
#include "report/format.h"
#include "report/summary.h"
#include "report/table.h"
#include "runtime/sandbox.h"
#include "storage/storage.h"

enum { LIST_LIMIT = 100000 };

struct rows {
	struct fw_run_row *items;
	size_t count;
};

static void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		fw_run_row_done(&rows->items[i]);
	free(rows->items);
}

/* Where runs are kept. A server that does not answer is waited for once, not once a run. */
struct places {
	const struct fw_store *store;
	struct fw_map *lost; /* storages that cannot be reached now */
};

static int usage(struct places *places, const struct fw_run_row *row, int64_t *bytes)
{
	FW_CLEANUP(fw_storage_close) struct fw_storage *storage = NULL;
	int rc = fw_map_has(places->lost, row->storage) ? FW_E_ABSENT : fw_storage_open(row->storage, NULL, &storage, NULL);

	if (rc != FW_OK)
		fw_map_set(places->lost, row->storage, NULL);
	return rc == FW_OK ? storage->ops->usage(storage, row->run, bytes, NULL) : rc;
}

/* Disk that outputs and logs of a run take; NAN when its storage cannot be reached now. */
static double kept_bytes(struct places *places, const struct fw_run_row *row)
{
	fw_cleanup_free char *state = fw_state_directory(places->store);
	fw_cleanup_free char *logs = fw_printf("%s/logs/%s", state, row->run);
	int64_t outputs = 0, logged = 0;

	if (usage(places, row, &outputs) != FW_OK || fw_tree_usage(AT_FDCWD, logs, &logged, NULL) != FW_OK)
		return (double)NAN;
	return (double)(outputs + logged);
}

static double total(const struct fw_run_row *row, const char *name)
{
	const json_t *value = json_object_get(row->totals, name);

	return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* ---- list ---- */

static void add_row(struct fw_table *table, struct places *places, const struct fw_run_row *row)
{
	char text[FW_FORMAT_SIZE];

	fw_table_row(table);
	fw_table_cell(table, "%s", row->run);
	fw_table_cell(table, "%s", row->workflow);
	fw_table_cell(table, "%s", fw_run_state(row));
	fw_table_cell(table, "%s", fw_format_time(text, row->wall_ms));
	fw_table_cell(table, "%s", fw_format_ms(text, row->makespan_ms));
	fw_table_cell(table, "%s%s", fw_format_joules(text, total(row, "joules")),
	              json_is_true(json_object_get(row->totals, "modelled")) ? " m" : "");
	fw_table_cell(table, "%s", fw_format_usd(text, total(row, "usd")));
	fw_table_cell(table, "%s", fw_format_grams(text, total(row, "gco2e")));
	fw_table_cell(table, "%s", fw_format_bytes(text, kept_bytes(places, row)));
}

static int print_table(struct places *places, const struct rows *rows, struct fw_error **err)
{
	static const char *const titles[] = {"run", "workflow", "state", "started", "makespan", "energy", "cost", "carbon", "disk"};
	static const char *const spare[] = {"carbon", "makespan", "disk", "cost"}; /* on a narrow terminal, least missed first */
	struct fw_table *table = fw_table_new();
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 256 << 20);
	for (size_t i = 0; i < FW_COUNT_OF(titles); i++)
		fw_table_column(table, titles[i], i < 4 ? FW_LEFT : FW_RIGHT);
	for (size_t i = 0; i < rows->count; i++)
		add_row(table, places, &rows->items[i]);
	fw_table_fit(table, fw_terminal_width(STDOUT_FILENO), spare, FW_COUNT_OF(spare));
	fw_table_print(table, fw_terminal_colour(STDOUT_FILENO), &out);
	fw_table_free(table);
	return fw_print(&out, err);
}

static int print_list_json(struct places *places, const struct rows *rows, struct fw_error **err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < rows->count; i++) {
		const struct fw_run_row *row = &rows->items[i];
		double kept = kept_bytes(places, row);

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:O?, s:s?, s:o}", "run", row->run, "workflow",
		                    row->workflow, "backend", row->backend, "storage", row->storage, "state",
		                    fw_run_state(row), "wall_ms", (json_int_t)row->wall_ms, "makespan_ms",
		                    fw_json_real(row->makespan_ms), "totals", row->totals,
		                    "error", row->error, "disk_bytes", fw_json_real(kept)));
	}
	return fw_print_json(list, err);
}

static int list(struct fw_store *store, bool json, struct fw_error **err)
{
	__attribute__((cleanup(rows_done))) struct rows rows = {0};
	int rc = fw_store_run_list(store, LIST_LIMIT, &rows.items, &rows.count, err);

	if (rc != FW_OK)
		return rc;
	if (!json && rows.count == 0) {
		printf("no runs yet\n");
		return FW_OK;
	}
	struct places places = {store, fw_map_new()};

	rc = json ? print_list_json(&places, &rows, err) : print_table(&places, &rows, err);
	fw_map_free(places.lost);
	return rc;
}

/* ---- delete ---- */

/* An engine that was killed has left control groups, and in bad luck processes in them. */
static int end_orphans(const struct fw_run_row *row, struct fw_error **err)
{
	struct fw_cgroups *cgroups = NULL;
	struct fw_root root;
	size_t ended = 0;
	int rc = fw_root_open("/", &root, err);

	if (rc != FW_OK)
		return rc;
	if (strcmp(fw_run_state(row), "interrupted") == 0 && fw_cgroups_open(&root, "flexwatt", &cgroups, NULL) == FW_OK)
		rc = fw_sandboxes_end_orphans(cgroups, row->run, &ended, err);
	fw_cgroups_close(cgroups);
	fw_root_close(&root);
	return rc;
}

/* Outputs and logs first, the row last: when one fails, the run is still listed and can be removed again. */
static int delete_run(struct fw_store *store, const struct fw_run_row *row, struct fw_error **err)
{
	FW_CLEANUP(fw_storage_close) struct fw_storage *storage = NULL;
	fw_cleanup_free char *state = fw_state_directory(store);
	fw_cleanup_free char *logs = fw_printf("%s/logs/%s", state, row->run);
	fw_cleanup_free char *scratch = fw_printf("%s/scratch", state);
	const struct fw_storage_host host = {.scratch = scratch}; /* what its engine left there goes, too */

	if (strcmp(fw_run_state(row), "running") == 0)
		return fw_fail(err, FW_E_BUSY, "run %s is running: end it first", row->run);
	int rc = end_orphans(row, err);

	if (rc == FW_OK)
		rc = fw_storage_open(row->storage, &host, &storage, err);
	if (rc == FW_E_ABSENT) { /* the storage itself is gone, and the outputs with it */
		if (err)
			fw_error_free(FW_TAKE(*err));
		rc = FW_OK;
	}
	if (rc == FW_OK && storage)
		rc = storage->ops->remove_run(storage, row->run, err);
	if (rc == FW_OK)
		rc = fw_tree_remove(AT_FDCWD, logs, err);
	if (rc == FW_OK)
		rc = fw_store_run_delete(store, row->run, err);
	if (rc == FW_OK)
		rc = fw_store_flush(store, err);
	return rc == FW_OK ? rc : fw_error_wrap(err, rc, "remove run %s", row->run);
}

/* What was removed before an error is told as well. */
static int print_removed(json_t *removed, int rc, struct fw_error **err)
{
	if (rc != FW_OK && json_array_size(removed) == 0)
		return rc;
	int printed = fw_print_json(json_pack("{s:O}", "removed", removed), rc == FW_OK ? err : NULL);

	return rc == FW_OK ? printed : rc;
}

static int remove_named(struct fw_store *store, const struct fw_text_list *names, bool json, struct fw_error **err)
{
	fw_cleanup_json json_t *removed = json_array();
	int rc = FW_OK;

	for (size_t i = 1; rc == FW_OK && i < names->texts.count; i++) {
		struct fw_run_row row = {0};

		rc = fw_store_run_get(store, names->texts.items[i], &row, err);
		if (rc == FW_OK)
			rc = delete_run(store, &row, err);
		if (rc == FW_OK && json)
			json_array_append_new(removed, json_string(row.run));
		else if (rc == FW_OK)
			printf("removed %s\n", row.run);
		fw_run_row_done(&row);
	}
	return json ? print_removed(removed, rc, err) : rc;
}

static int read_age_ms(const char *text, uint64_t *age_ms, struct fw_error **err)
{
	if (fw_duration_ms(text, age_ms))
		return FW_OK;
	int rc = fw_fail(err, FW_E_USAGE, "runs prune: --older '%s' is not an age", text);

	return fw_error_hint(err, rc, "a number with d, h, m or s: --older 30d");
}

static int prune(struct fw_store *store, int64_t keep, const char *older, bool json, struct fw_error **err)
{
	fw_cleanup_json json_t *gone = json_array();
	__attribute__((cleanup(rows_done))) struct rows rows = {0};
	uint64_t age_ms = 0, now_ms = fw_wall_ms();
	size_t removed = 0;

	if ((keep > 0) == (older != NULL))
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "runs prune: say which runs may go"),
		                     "--keep N keeps the newest N, --older 30d removes those that are older");
	int rc = older ? read_age_ms(older, &age_ms, err) : FW_OK;

	if (rc == FW_OK)
		rc = fw_store_run_list(store, LIST_LIMIT, &rows.items, &rows.count, err);
	for (size_t i = 0; rc == FW_OK && i < rows.count; i++) {
		const struct fw_run_row *row = &rows.items[i];
		bool goes = older ? (uint64_t)row->wall_ms + age_ms < now_ms : i >= (size_t)keep;

		if (!goes || strcmp(fw_run_state(row), "running") == 0)
			continue;
		rc = delete_run(store, row, err);
		removed += rc == FW_OK;
		if (rc == FW_OK)
			json_array_append_new(gone, json_string(row->run));
	}
	if (json)
		return print_removed(gone, rc, err);
	if (rc == FW_OK)
		printf("removed %zu of %zu runs\n", removed, rows.count);
	return rc;
}

/* ---- command ---- */

static int dispatch(const struct fw_text_list *words, bool json, int64_t keep, const char *older, struct fw_error **err)
{
	const char *verb = words->texts.count ? words->texts.items[0] : NULL;
	FW_CLEANUP(fw_store_close) struct fw_store *store = NULL;
	int rc = FW_OK;

	if (verb && strcmp(verb, "rm") != 0 && strcmp(verb, "prune") != 0)
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "runs: unknown word '%s'", verb),
		                     "flexwatt runs, flexwatt runs rm RUN…, flexwatt runs prune --keep N");
	if (verb && strcmp(verb, "rm") == 0 && words->texts.count < 2)
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "runs rm: RUN is missing"), "flexwatt runs lists them");
	if (!(verb && strcmp(verb, "prune") == 0) && (keep || older))
		return fw_fail(err, FW_E_USAGE, "runs: --keep and --older go with prune");
	rc = fw_open_default_store(verb == NULL, &store, err);
	if (rc == FW_E_ABSENT && !verb) {
		if (err)
			fw_error_free(FW_TAKE(*err));
		printf(json ? "[]\n" : "no runs yet\n");
		return FW_OK;
	}
	if (rc != FW_OK)
		return rc;
	if (!verb)
		return list(store, json, err);
	return strcmp(verb, "rm") == 0 ? remove_named(store, words, json, err) : prune(store, keep, older, json, err);
}

static int run(int argc, char **argv, struct fw_error **err)
{
	fw_cleanup_text_list struct fw_text_list words = {0};
	bool json = false, help = false;
	const char *older = NULL;
	int64_t keep = 0;
	const struct fw_option options[] = {
		{"json", NULL, "the list, or what was removed, as JSON", FW_OPTION_FLAG, &json, NULL},
		{"keep", "N", "prune: keep the newest N", FW_OPTION_COUNT, &keep, NULL},
		{"older", "AGE", "prune: remove what is older: 30d, 12h", FW_OPTION_TEXT, &older, NULL},
	};
	int rc = fw_options_read(&fw_command_runs, options, FW_COUNT_OF(options), argc, argv, 0, SIZE_MAX, &words, &help, err);

	return rc == FW_OK && !help ? dispatch(&words, json, keep, older, err) : rc;
}

const struct fw_command fw_command_runs = {
	.name = "runs",
	.arguments = "[rm RUN…|prune]",
	.summary = "list runs, or remove them with their outputs and logs",
	.example = "  flexwatt runs\n  flexwatt runs rm k3f\n  flexwatt runs prune --older 30d",
	.run = run,
};
