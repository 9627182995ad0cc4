/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks the user's manager for a scope with delegation that takes this process in, as systemd-run --scope does before it
 * executes its command. Nothing is executed anew: terminal, parent, signals and exit status stay the user's. The request
 * goes through busctl, so that nobody who has no systemd needs its library.
 */
#include "cli/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "base/time.h"
#include "host/cgroup.h"
#include "runtime/probe.h"

static const uint64_t move_deadline_ns = 5 * FW_NS_PER_S; /* after the manager took the request */

static bool manager_is_reachable(void)
{
	const char *directory = getenv("XDG_RUNTIME_DIR");
	fw_cleanup_free char *bus = directory ? fw_printf("%s/bus", directory) : NULL;

	return getenv("DBUS_SESSION_BUS_ADDRESS") || (bus && access(bus, R_OK | W_OK) == 0);
}

static int request(const char *scope, struct fw_error **err)
{
	fw_cleanup_free char *pid = fw_printf("%d", (int)getpid());
	fw_cleanup_buffer struct fw_buffer answer;
	const char *argv[] = {
		"/usr/bin/env", "busctl", "--user", "--timeout=5", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))", scope, "fail", /* if it exists */
		"5", "Description", "s", "flexwatt run", "Slice", "s", "app.slice", "PIDs", "au", "1", pid, "Delegate", "b", "true",
		"CollectMode", "s", "inactive-or-failed", "0", NULL,
	};

	fw_buffer_init(&answer, 4096);
	return fw_probe_run(argv, (const char *const *)environ, &answer, err);
}

static bool is_inside(const struct fw_root *root, const char *scope)
{
	fw_cleanup_buffer struct fw_buffer text;
	struct fw_str rest, line;

	fw_buffer_init(&text, 1 << 20);
	if (fw_root_read(root, "proc/self/cgroup", &text, NULL) != FW_OK)
		return false;
	rest = fw_buffer_str(&text);
	while (fw_str_next_line(&rest, &line))
		if (fw_str_starts(line, "0::") && fw_str_ends(line, scope))
			return true;
	return false;
}

static int wait_until_inside(const struct fw_root *root, const char *scope, struct fw_error **err)
{
	uint64_t deadline_ns = fw_monotonic_ns() + move_deadline_ns;

	while (!is_inside(root, scope)) {
		if (fw_monotonic_ns() > deadline_ns)
			return fw_fail(err, FW_E_TIMEOUT, "the manager has not moved this process into %s", scope);
		poll(NULL, 0, 2);
	}
	return FW_OK;
}

void fw_scope_enter(void)
{
	fw_cleanup_error struct fw_error *reason = NULL;
	fw_cleanup_free char *scope = fw_printf("flexwatt-%d-%llx.scope", (int)getpid(),
	                                        (unsigned long long)fw_monotonic_ns());
	struct fw_root root;

	if (geteuid() == 0 || !manager_is_reachable() || fw_root_open("/", &root, NULL) != FW_OK)
		return;
	if (fw_cgroup_wants_scope(&root) &&
	    (request(scope, &reason) != FW_OK || wait_until_inside(&root, scope, &reason) != FW_OK))
		fw_info("no scope of our own: %s", fw_error_message(reason));
	fw_root_close(&root);
}
