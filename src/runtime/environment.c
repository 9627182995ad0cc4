/* SPDX-License-Identifier: Apache-2.0
 *
 * Variables of a worker in AWS's precedence: unreserved defaults, then the customer's, then the reserved ones, which
 * nobody can replace. Nothing of our own environment is passed on: it may hold credentials.
 */
#include "runtime/environment.h"

#include "base/map.h"
#include "base/memory.h"

static void set(struct fw_map *map, const char *name, const char *value)
{
	free(fw_map_get(map, name));
	fw_map_set(map, name, fw_strdup(value));
}

static void set_unreserved(struct fw_map *map)
{
	set(map, "LANG", "en_US.UTF-8");
	set(map, "PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin");
	set(map, "LD_LIBRARY_PATH", "/var/task:/var/task/lib:/opt/lib");
}

static void set_customer(struct fw_map *map, const json_t *customer)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)customer, name, value)
		if (json_is_string(value))
			set(map, name, json_string_value(value));
}

static void set_reserved(struct fw_map *map, const struct fw_environment *environment)
{
	fw_cleanup_free char *memory = fw_printf("%lld", (long long)environment->memory_mb);
	fw_cleanup_free char *group = fw_printf("/aws/lambda/%s", environment->name);
	fw_cleanup_free char *api = fw_printf("%s:%u", environment->address.host, environment->address.port);

	if (environment->handler)
		set(map, "_HANDLER", environment->handler);
	set(map, "AWS_DEFAULT_REGION", environment->region);
	set(map, "AWS_REGION", environment->region);
	set(map, "AWS_EXECUTION_ENV", "AWS_Lambda_provided");
	set(map, "AWS_LAMBDA_FUNCTION_NAME", environment->name);
	set(map, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory);
	set(map, "AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
	set(map, "AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
	set(map, "AWS_LAMBDA_LOG_GROUP_NAME", group);
	set(map, "AWS_LAMBDA_LOG_STREAM_NAME", environment->log_stream);
	set(map, "AWS_LAMBDA_RUNTIME_API", api);
	set(map, "LAMBDA_TASK_ROOT", "/var/task");
	set(map, "LAMBDA_RUNTIME_DIR", "/var/runtime");
	set(map, "TZ", ":UTC");
	if (environment->command)
		set(map, "FLEXWATT_COMMAND", environment->command);
}

char **fw_environment_build(const struct fw_environment *environment)
{
	struct fw_map *map = fw_map_new();

	set_unreserved(map);
	if (environment->customer)
		set_customer(map, environment->customer);
	set_reserved(map, environment);
	char **envp = fw_alloc_array(fw_map_count(map) + 1, sizeof *envp);
	const char *name;
	void *value;
	size_t count = 0;

	for (size_t i = 0; fw_map_next(map, &i, &name, &value);) {
		envp[count++] = fw_printf("%s=%s", name, (const char *)value);
		free(value);
	}
	fw_map_free(map);
	return envp;
}

void fw_environment_free(char **envp)
{
	for (size_t i = 0; envp && envp[i]; i++)
		free(envp[i]);
	free(envp);
}
