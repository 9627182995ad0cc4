/* SPDX-License-Identifier: Apache-2.0
 *
 * flexwatt recompute: the energy of a run, attributed again from its stored readings by this version, and what that
 * changed.
 */
#include <unistd.h>

#include "cli/commands.h"
#include "cli/store_path.h"
#include "cli/terminal.h"
#include "report/recomputed.h"

enum { OUTPUT_MAX = 64 << 20 };

static int save(struct fw_recomputed *recomputed, struct fw_error **err)
{
	FW_CLEANUP(fw_store_close) struct fw_store *store = NULL;
	int rc = fw_open_default_store(false, &store, err);

	return rc == FW_OK ? fw_recomputed_save(store, recomputed, err) : rc;
}

static int tell(const struct fw_recomputed *recomputed, bool json, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer out;

	if (json)
		return fw_print_json(fw_recomputed_to_json(recomputed), err);
	fw_buffer_init(&out, OUTPUT_MAX);
	fw_recomputed_print(recomputed, fw_terminal_colour(STDOUT_FILENO), &out);
	return fw_print(&out, err);
}

static int recompute(const char *run, bool dry, bool json, struct fw_error **err)
{
	FW_CLEANUP(fw_store_close) struct fw_store *store = NULL;
	struct fw_recomputed recomputed;
	int rc = fw_open_default_store(true, &store, err);

	if (rc == FW_OK)
		rc = fw_recomputed_load(store, run, &recomputed, err);
	if (rc != FW_OK)
		return rc;
	if (!dry && recomputed.changes.count > 0)
		rc = save(&recomputed, err);
	if (rc == FW_OK)
		rc = tell(&recomputed, json, err);
	fw_recomputed_done(&recomputed);
	return rc;
}

static int run(int argc, char **argv, struct fw_error **err)
{
	fw_cleanup_text_list struct fw_text_list positional = {0};
	bool help = false, json = false, dry = false;
	const struct fw_option options[] = {
		{"dry-run", NULL, "tell what would change and store nothing", FW_OPTION_FLAG, &dry, NULL, 0},
		{"json", NULL, "as JSON: every figure that changes, old and new", FW_OPTION_FLAG, &json, NULL, 0},
	};
	int rc = fw_options_read(&fw_command_recompute, options, FW_COUNT_OF(options), argc, argv, 1, 1, &positional, &help, err);

	return rc != FW_OK || help ? rc : recompute(positional.texts.items[0], dry, json, err);
}

const struct fw_command fw_command_recompute = {
	.name = "recompute",
	.arguments = "RUN",
	.summary = "a run's energy again, from its stored readings by this version",
	.example = "  flexwatt recompute k3f\n  flexwatt recompute k3f --dry-run --json",
	.run = run,
};
