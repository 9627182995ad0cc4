/* SPDX-License-Identifier: Apache-2.0
 *
 * A bucket as storage, in the file and in overrides: "storage: s3://bucket/prefix?endpoint=…", "storage.region=…". What is
 * wrong in it is pointed at, not the whole.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/s3_uri.h"
#include "workflow/workflow_internal.h"

static bool is_quote(char letter)
{
	return letter == '"' || letter == '\'';
}

/* Byte `offset` of the setting's text, in the file or in the override. */
static int point_at(const struct fw_reader *reader, const struct fw_setting *setting, size_t offset, int rc,
                    struct fw_error **err)
{
	const struct fw_override *override = setting->override;
	const struct fw_workflow *workflow = reader->workflow;
	size_t start = setting->node ? fw_yaml_mark(setting->document, setting->node).start : 0;

	if (override) {
		start += strcspn(override->text, "=") + 1;
		start += is_quote(override->text[start]);
		return fw_error_at_offset(err, rc, override->origin ? override->origin : "override", override->text,
		                          strlen(override->text), start + offset);
	}
	start += is_quote(workflow->text[start]);
	return fw_error_at_offset(err, rc, fw_yaml_name(setting->document), workflow->text, strlen(workflow->text),
	                          start + offset);
}

int fw_read_bucket(struct fw_reader *reader, const struct fw_setting *setting, struct fw_error **err)
{
	fw_cleanup_s3_uri struct fw_s3_uri uri = {0};
	size_t offset = 0;
	int rc = fw_s3_uri_parse(setting->text, strlen(setting->text), &uri, &offset, err);

	if (rc != FW_OK)
		return point_at(reader, setting, offset, fw_error_wrap(err, rc, "storage"), err);
	reader->workflow->storage = fw_s3_uri_text(&uri);
	return FW_OK;
}

int fw_override_bucket(struct fw_setting *storage, const char *part, const char *value, const char **reason,
                       struct fw_error **err)
{
	fw_cleanup_s3_uri struct fw_s3_uri uri = {0};
	enum fw_s3_part which = FW_S3_URI_BUCKET;
	size_t offset;

	while (which < FW_S3_URI_PARTS && strcmp(part, fw_s3_part_names[which]) != 0)
		which++;
	if (which == FW_S3_URI_PARTS)
		*reason = "a storage has bucket, prefix, endpoint, region, profile and style";
	else if (!storage || storage->kind != FW_SETTING_TEXT || !fw_str_starts(fw_str_of(storage->text), "s3:"))
		*reason = "the storage is no bucket: say storage=s3://bucket";
	if (*reason)
		return FW_E_USAGE;
	int rc = fw_s3_uri_parse(storage->text, strlen(storage->text), &uri, &offset, err);

	if (rc == FW_OK)
		rc = fw_s3_uri_set(&uri, which, value, err);
	if (rc != FW_OK)
		return rc;
	free(storage->text);
	storage->text = fw_s3_uri_text(&uri);
	json_decref(storage->json);
	storage->json = json_string(storage->text);
	return FW_OK;
}
