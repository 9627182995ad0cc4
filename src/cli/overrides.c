/* SPDX-License-Identifier: Apache-2.0
 *
 * Overrides of a workflow file (overrides.h). What is said of every stage comes first, so that what is said of one holds.
 */
#include "cli/overrides.h"

#include <stdlib.h>

#include "base/str.h"

bool fw_override_options_any(const struct fw_override_options *options)
{
	return options->set.texts.count || options->storage || options->memory || options->workers;
}

void fw_override_options_done(struct fw_override_options *options)
{
	fw_text_list_done(&options->set);
}

void fw_collected_add(struct fw_collected *collected, char *owned, const char *origin)
{
	FW_PUSH(&collected->owned, owned);
	FW_PUSH(&collected->overrides.settings, (struct fw_override){owned, origin});
}

void fw_collected_add_bucket(struct fw_collected *collected, const struct fw_override_options *given)
{
	static const struct {
		const char *variable, *setting;
	} parts[] = {
		{"FLEXWATT_STORAGE_BUCKET", "storage.bucket"},   {"FLEXWATT_STORAGE_PREFIX", "storage.prefix"},
		{"FLEXWATT_STORAGE_ENDPOINT", "storage.endpoint"}, {"FLEXWATT_STORAGE_REGION", "storage.region"},
		{"FLEXWATT_STORAGE_PROFILE", "storage.profile"},
	};

	for (size_t i = 0; !given->storage && i < FW_COUNT_OF(parts); i++) {
		const char *value = getenv(parts[i].variable);

		if (value && *value)
			fw_collected_add(collected, fw_printf("%s=%s", parts[i].setting, value), parts[i].variable);
	}
}

void fw_collected_add_options(struct fw_collected *collected, const struct fw_override_options *options, bool variables)
{
	const struct fw_option names[] = {FW_OVERRIDE_OPTIONS((struct fw_override_options *)(uintptr_t)options)};
	enum { SET, STORAGE, MEMORY, WORKERS };

	if (options->storage)
		fw_collected_add(collected, fw_printf("storage=%s", options->storage), variables ? names[STORAGE].variable : NULL);
	if (options->memory)
		fw_collected_add(collected, fw_printf("*.memory=%lld", (long long)options->memory),
		                 variables ? names[MEMORY].variable : NULL);
	if (options->workers)
		fw_collected_add(collected, fw_printf("*.workers=%lld", (long long)options->workers),
		                 variables ? names[WORKERS].variable : NULL);
	for (size_t i = 0; i < options->set.texts.count; i++)
		fw_collected_add(collected, fw_strdup(options->set.texts.items[i]), variables ? names[SET].variable : NULL);
}

void fw_collected_done(struct fw_collected *collected)
{
	for (size_t i = 0; i < collected->owned.count; i++)
		free(collected->owned.items[i]);
	free(collected->owned.items);
	free(collected->overrides.settings.items);
}
