/* SPDX-License-Identifier: Apache-2.0
 *
 * How a worker comes to be: address, Runtime API, output, directory, environment, process. A step that fails undoes those
 * before it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "runtime/environment.h"
#include "runtime/runtime_internal.h"

/* What the stage shows, and what the interpreter needs. */
static char **views_of(const struct fw_invoke *invoke, const struct fw_launch *launch)
{
	FW_VECTOR(char *) views = {0};

	for (size_t i = 0; invoke->read_only && invoke->read_only[i]; i++)
		FW_PUSH(&views, fw_strdup(invoke->read_only[i]));
	for (size_t i = 0; i < launch->read_only.count; i++)
		FW_PUSH(&views, fw_strdup(launch->read_only.items[i]));
	FW_PUSH(&views, NULL);
	return views.items;
}

static char **argv_of(const struct fw_launch *launch, const char *handler)
{
	size_t count = launch->argv.count;
	char **argv = fw_alloc_array(count + 2, sizeof *argv);

	for (size_t i = 0; i < count; i++)
		argv[i] = launch->argv.items[i];
	if (launch->handler_is_argument)
		argv[count] = (char *)(uintptr_t)handler;
	return argv;
}

/* The worker passes through it and writes only in what `prepare` makes there for it: names in it stay what they are while
 * we use them, whatever a process that an earlier invocation left does. */
static int make_attempts(struct fw_worker *worker, const char *root, struct fw_error **err)
{
	worker->attempts = fw_printf("%s/%s", root, worker->name);
	if (mkdir(worker->attempts, 0700) < 0 || chmod(worker->attempts, 0711) < 0)
		return fw_fail_errno(err, errno, "make the directory %s", worker->attempts);
	return FW_OK;
}

static char **environment_of(const struct fw_worker *worker, const struct fw_invoke *invoke,
                             const struct fw_launch *launch)
{
	char date[25], random[17];
	uint64_t bits;

	fw_runtime_random(&bits, sizeof bits);
	fw_time_iso(fw_wall_ms(), date);
	snprintf(random, sizeof random, "%016llx", (unsigned long long)bits);
	fw_cleanup_free char *stream =
		fw_printf("%.4s/%.2s/%.2s/[$LATEST]%s%016zx", date, date + 5, date + 8, random, worker->runtime->worker_number);

	return fw_environment_build(&(struct fw_environment){
		.name = invoke->name,
		.handler = invoke->handler,
		.memory_mb = invoke->memory_mb,
		.region = worker->runtime->region,
		.log_stream = stream,
		.address = fw_sandbox_address(worker->sandbox),
		.command = launch->command,
		.customer = invoke->function->environment,
	});
}

static int spawn(struct fw_worker *worker, const struct fw_invoke *invoke, const struct fw_launch *launch, int output_fd,
                 struct fw_error **err)
{
	char **envp = environment_of(worker, invoke, launch);
	fw_cleanup_free char **argv = argv_of(launch, invoke->handler);
	fw_cleanup_free const char **owned = fw_alloc_array(launch->owned.count + 1, sizeof *owned);
	const struct fw_sandbox_spec spec = {
		.package = launch->package,
		.read_only = (const char *const *)worker->read_only,
		.owned = owned,
		.hidden = worker->hidden,
		.attempts = worker->attempts,
		.argv = (const char *const *)argv,
		.envp = (const char *const *)envp,
		.memory_mb = invoke->memory_mb,
		.tmp_mb = invoke->tmp_mb,
		.network = invoke->network,
		.stdout_fd = output_fd,
		.stderr_fd = output_fd,
		.boost = true,
	};

	for (size_t i = 0; i < launch->owned.count; i++)
		owned[i] = launch->owned.items[i];
	worker->exec_ns = fw_monotonic_ns();
	int rc = fw_sandbox_start(worker->sandbox, &spec, err);

	fw_environment_free(envp);
	return rc;
}

static int watch(struct fw_worker *worker, struct fw_error **err)
{
	worker->death = fw_watch_new(worker->runtime->options.loop, fw_sandbox_pidfd(worker->sandbox), fw_worker_on_death, worker);
	return worker->death ? FW_OK : fw_fail(err, FW_E_ENVIRONMENT, "watch the worker: refused by the kernel");
}

/* Address, Runtime API, output, directory, process: in this order, so that the process finds all of it. */
static int bring_up(struct fw_worker *worker, const struct fw_invoke *invoke, const struct fw_launch *launch,
                    struct fw_error **err)
{
	struct fw_loop *loop = worker->runtime->options.loop;
	fw_cleanup_fd int output_fd = -1;
	int rc = fw_sandbox_new(worker->runtime->sandboxes, invoke->network, &worker->sandbox, err);

	if (rc != FW_OK)
		return rc;
	uid_t peer = invoke->network == FW_NETWORK_NONE ? (uid_t)-1 : fw_sandbox_uid(worker->sandbox);

	rc = fw_api_new(loop, fw_sandbox_take_listener(worker->sandbox), peer, &fw_worker_api, worker, &worker->api, err);
	if (rc == FW_OK)
		rc = fw_log_stream_new(loop, &worker->output, &output_fd, err);
	if (rc == FW_OK)
		rc = make_attempts(worker, invoke->attempts_root, err);
	if (rc == FW_OK)
		rc = spawn(worker, invoke, launch, output_fd, err);
	if (rc == FW_OK)
		rc = watch(worker, err);
	return rc;
}

static void abandon(struct fw_worker *worker)
{
	if (worker->sandbox)
		fw_sandbox_free(worker->sandbox);
	if (worker->attempts)
		(void)rmdir(worker->attempts);
	fw_worker_free(worker);
}

/* The CPUs that it holds here: a configuration may ask for more than the machine has. */
static double held_vcpus(const struct fw_worker *worker, const struct fw_record *record)
{
	const struct fw_machine *machine = worker->runtime->options.machine;
	double asked = isnan(record->vcpus) ? (double)fw_memory_millivcpus(worker->memory_mb) / 1000 : record->vcpus;

	return machine && machine->cpus_allowed > 0 ? fmin(asked, machine->cpus_allowed) : asked;
}

static void meter(struct fw_worker *worker, const struct fw_record *record)
{
	struct fw_sandbox_address address = fw_sandbox_address(worker->sandbox);
	struct fw_metered metered = {
		.cgroup = fw_sandbox_cgroup(worker->sandbox),
		.pid = fw_sandbox_pid(worker->sandbox),
		.vcpus = held_vcpus(worker, record),
		.memory_mb = worker->memory_mb,
		.own_port = htons(address.port),
	};

	(void)inet_pton(AF_INET, address.host, &metered.own_address);
	if (worker->runtime->options.energy)
		worker->energy = fw_energy_worker_new(worker->runtime->options.energy, &metered);
}

int fw_worker_start(struct fw_invocation *invocation, const struct fw_launch *launch, char *key, struct fw_error **err)
{
	struct fw_runtime *runtime = invocation->runtime;
	const struct fw_invoke *invoke = &invocation->invoke;
	struct fw_worker *worker = fw_alloc(sizeof *worker);

	*worker = (struct fw_worker){
		.runtime = runtime,
		.state = FW_WORKER_STARTING,
		.key = key,
		.memory_mb = invoke->memory_mb,
		.read_only = views_of(invoke, launch),
		.hidden = fw_strdup(invoke->hidden),
		.invocation = invocation,
	};
	worker->timer = fw_timer_new(runtime->options.loop, fw_worker_on_timer, worker);
	snprintf(worker->name, sizeof worker->name, "w%zu-%08x", ++runtime->worker_number, runtime->random);
	int rc = bring_up(worker, invoke, launch, err);

	if (rc != FW_OK) {
		abandon(worker);
		return rc;
	}
	fw_worker_link(worker);
	invocation->worker = worker;
	runtime->cold_starts++;
	fw_record_set_text(&invocation->record->worker, worker->name);
	meter(worker, invocation->record);
	fw_timer_set(worker->timer, (uint64_t)invoke->timeout_ms * FW_NS_PER_MS + runtime->options.init_ns);
	return FW_OK;
}
