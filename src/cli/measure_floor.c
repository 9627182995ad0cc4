/* SPDX-License-Identifier: Apache-2.0
 *
 * The file is replaced as a whole by a rename, so that two that end at once leave one of the two. It says since when it
 * stands: how much it still counts is the floor's own matter.
 */
#include "cli/measure_floor.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "base/tree.h"
#include "store/store.h"

enum { FILE_MAX = 1 << 20 };

/* Beside the store; newly allocated. */
static char *path_of(const char *name)
{
	fw_cleanup_free char *store = fw_store_default_path();
	const char *slash = strrchr(store, '/');

	return slash ? fw_printf("%.*s/%s", (int)(slash - store), store, name) : fw_strdup(name);
}

static json_t *place_of(const struct fw_energy_here *here, const char *counters_root)
{
	char id[64], resolved[PATH_MAX];
	ssize_t length = fw_root_peek(&here->root, "etc/machine-id", id, sizeof id);
	const char *root = counters_root ? counters_root : getenv("FLEXWATT_COUNTERS_ROOT");

	if (root && !*root)
		root = NULL;
	return json_pack("{s:o, s:s, s:s}", "machine", json_stringn(id, length > 0 ? strcspn(id, "\n") : 0), "cpu_model",
	                 here->machine.cpu_model, "counters", root && realpath(root, resolved) ? resolved : "/");
}

void fw_measure_floor_take(const struct fw_energy_here *here, const char *counters_root)
{
	fw_cleanup_free char *path = path_of("floor.json");
	fw_cleanup_json json_t *place = place_of(here, counters_root), *kept = NULL;
	fw_cleanup_error struct fw_error *error = NULL;
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, FILE_MAX);
	if (fw_read_file(AT_FDCWD, path, &text, &error) != FW_OK || fw_json_load(path, text.data, text.length, &kept, &error) != FW_OK ||
	    !json_equal(json_object_get(kept, "place"), place))
		return;
	double age_s = ((double)fw_wall_ms() - json_number_value(json_object_get(kept, "wall_ms"))) / 1000;

	if (age_s >= 0)
		fw_energy_manager_inherit(here->manager, json_object_get(kept, "books"), age_s);
}

static bool write_all(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return false;
	bool written = fputs(text, file) >= 0;

	return fclose(file) == 0 && written;
}

void fw_measure_floor_keep(const struct fw_energy_here *here, const char *counters_root)
{
	json_t *books = fw_energy_manager_books(here->manager);

	if (!books)
		return;
	fw_cleanup_json json_t *kept = json_pack("{s:o, s:I, s:o}", "place", place_of(here, counters_root), "wall_ms",
	                                         (json_int_t)fw_wall_ms(), "books", books);
	fw_cleanup_free char *path = path_of("floor.json"), *directory = path_of("."), *text = fw_json_dump(kept);
	fw_cleanup_free char *fresh = fw_printf("%s.%d", path, (int)getpid());
	fw_cleanup_error struct fw_error *error = NULL;

	if (fw_make_directories(AT_FDCWD, directory, 0700, &error) != FW_OK)
		return;
	if (!write_all(fresh, text) || rename(fresh, path) != 0)
		(void)unlink(fresh);
}
