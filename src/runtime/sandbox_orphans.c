/* SPDX-License-Identifier: Apache-2.0
 *
 * What a killed engine can leave behind: control groups by its run's name, rarely with processes in them, since process 1
 * of each sandbox ends with its engine. Everything else (images, mounts, sockets) was held by descriptors alone.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "runtime/sandbox_internal.h"

static const uint64_t end_deadline_ns = 2 * FW_NS_PER_S;

struct search {
	char *prefix;
	FW_VECTOR(char *) names;
};

static void collect(void *context, const char *name)
{
	struct search *search = context;
	size_t length = strlen(search->prefix);

	/* "fw-<run>-<n>": a run whose name merely starts alike is another one. */
	if (strncmp(name, search->prefix, length) == 0 && name[length] != '\0' &&
	    strspn(name + length, "0123456789") == strlen(name + length))
		FW_PUSH(&search->names, fw_strdup(name));
}

static int end_group(struct fw_cgroups *cgroups, const char *name, struct fw_error **err)
{
	struct fw_cgroup *group;
	uint64_t deadline_ns = fw_monotonic_ns() + end_deadline_ns;
	int rc = fw_cgroup_open(cgroups, name, &group, err);

	if (rc != FW_OK)
		return rc;
	while (fw_cgroup_pids(group, NULL, 0) > 0 && fw_monotonic_ns() < deadline_ns) {
		fw_cgroup_kill(group, NULL);
		poll(NULL, 0, 1);
	}
	rc = fw_cgroup_remove(group, err);
	fw_cgroup_close(group);
	return rc;
}

int fw_sandboxes_end_orphans(struct fw_cgroups *cgroups, const char *run, size_t *ended, struct fw_error **err)
{
	struct search search = {.prefix = fw_printf("fw-%s-", run)};
	size_t count = 0;
	int rc = cgroups ? fw_cgroups_each(cgroups, collect, &search, err) : FW_OK;

	for (size_t i = 0; i < search.names.count; i++) {
		if (rc == FW_OK) {
			rc = end_group(cgroups, search.names.items[i], err);
			if (rc == FW_OK)
				count++;
			else
				fw_error_wrap(err, rc, "end what run %s left", run);
		}
		free(search.names.items[i]);
	}
	free(search.names.items);
	free(search.prefix);
	*ended = count;
	return rc;
}
