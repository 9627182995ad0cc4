/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a workflow: bytes → settings → overrides → shape → structures → links. Nothing is started, and the workflow
 * comes out whole or not at all.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "workflow/workflow_internal.h"

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? fw_strdup("/") : fw_strndup(path, (size_t)(slash - path));
}

/* Drops ".", ".." and doubled slashes of an absolute path. */
static char *normalise(const char *path)
{
	char *clean = fw_alloc(strlen(path) + 2);
	struct fw_str rest = fw_str_of(path), part;
	size_t length = 0;

	while (fw_str_next_field(&rest, '/', &part)) {
		if (part.length == 0 || fw_str_is(part, "."))
			continue;
		if (fw_str_is(part, "..")) {
			while (length > 0 && clean[--length] != '/')
				;
			continue;
		}
		clean[length++] = '/';
		memcpy(clean + length, part.text, part.length);
		length += part.length;
	}
	if (length == 0)
		clean[length++] = '/';
	clean[length] = '\0';
	return clean;
}

static char *resolve(const char *directory, const char *path)
{
	fw_cleanup_free char *joined = path[0] == '/' ? fw_strdup(path) : fw_printf("%s/%s", directory, path);

	return normalise(joined);
}

static char *working_directory(void)
{
	char *path = getcwd(NULL, 0);

	return path ? path : fw_strdup("/");
}

char *fw_resolve_path(const struct fw_reader *reader, const struct fw_setting *setting)
{
	if (!setting->override)
		return resolve(reader->workflow->directory, setting->text);
	fw_cleanup_free char *here = working_directory();
	return resolve(here, setting->text);
}

/* "s3" of "s3://bucket"; NULL when the text is a path. */
static char *scheme_of(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	return length > 1 && text[length] == ':' ? fw_strndup(text, length) : NULL;
}

static int resolve_storage(struct fw_reader *reader, const struct fw_setting *setting, const char *path,
                           struct fw_error **err)
{
	fw_cleanup_free char *here = setting->override ? working_directory() : fw_strdup(reader->workflow->directory);
	fw_cleanup_free char *absolute = NULL;

	if (*path == '\0')
		return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID, "storage: the directory is missing"),
		                     "storage: ./data");
	absolute = resolve(here, path);
	if (strcmp(absolute, "/") == 0)
		return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID, "storage: '/' cannot be a storage"),
		                     "give it a directory of its own: storage: ./data");
	reader->workflow->storage = fw_printf("file:%s", absolute);
	return FW_OK;
}

int fw_read_storage(struct fw_reader *reader, struct fw_error **err)
{
	const struct fw_setting *setting = fw_setting_get(reader->root, "storage");
	fw_cleanup_free char *scheme = scheme_of(setting->text);
	const char *path = setting->text;

	if (scheme && strcmp(scheme, "s3") == 0)
		return fw_read_bucket(reader, setting, err);
	if (scheme && strcmp(scheme, "file") != 0)
		return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID, "storage: unknown scheme '%.20s:'", scheme),
		                     "a directory, relative to the workflow file: storage: ./data; or a bucket: s3://BUCKET");
	if (scheme) {
		path += strlen("file:");
		if (strncmp(path, "//", 2) == 0 && path[2] != '/')
			return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID, "storage: a file: URI has no host"),
			                     "three slashes: file:///directory");
	}
	return resolve_storage(reader, setting, path, err);
}

static int read_stages(struct fw_reader *reader, struct fw_error **err)
{
	const struct fw_setting *stages = fw_setting_get(reader->root, "stages");
	struct fw_workflow *workflow = reader->workflow;

	if (stages->entries.count == 0)
		return fw_error_hint(err, fw_setting_fail(err, stages, FW_E_INVALID, "the workflow has no stages"),
		                     "stages: {hello: {function: {command: [echo, hello]}}}");
	if (stages->entries.count > FW_STAGES_MAX)
		return fw_setting_fail(err, stages, FW_E_LIMIT, "more than %d stages", FW_STAGES_MAX);
	for (size_t i = 0; i < stages->entries.count; i++) {
		FW_PUSH(&workflow->stages, (struct fw_stage){.name = fw_strdup(stages->entries.items[i].key)});
		workflow->stages.items[i].when.stage = SIZE_MAX;
	}
	for (size_t i = 0; i < stages->entries.count; i++) {
		const struct fw_setting_entry *entry = &stages->entries.items[i];
		struct fw_stage *stage = &workflow->stages.items[i];

		if (strcmp(stage->name, "output") == 0)
			return fw_error_hint(err, fw_setting_fail_key(err, entry, FW_E_INVALID, "no stage may be named 'output'"),
			                     "${output.NAME} would be ambiguous in payloads");
		if (entry->key_node && !entry->value->override)
			stage->line = fw_yaml_mark(entry->value->document, entry->key_node).line;
		int rc = fw_read_stage(reader, entry->value, stage, err);
		if (rc != FW_OK)
			return fw_error_wrap(err, rc, "stage '%s'", stage->name);
	}
	return FW_OK;
}

static int read_workflow(struct fw_reader *reader, struct fw_error **err)
{
	int rc = fw_read_storage(reader, err);

	reader->workflow->name = fw_strdup(fw_setting_get(reader->root, "name")->text);
	if (rc == FW_OK)
		rc = read_stages(reader, err);
	if (rc == FW_OK)
		rc = fw_link_stages(reader, err);
	if (rc != FW_OK)
		return rc;
	reader->workflow->effective = fw_workflow_effective(reader->workflow);
	reader->workflow->digest = fw_alloc(65);
	fw_workflow_digest(reader->workflow, reader->workflow->digest);
	return FW_OK;
}

static int read_document(const struct fw_yaml_document *document, const struct fw_overrides *overrides,
                         struct fw_reader *reader, struct fw_error **err)
{
	struct fw_documents documents __attribute__((cleanup(fw_documents_done))) = {0};
	struct fw_setting *root FW_CLEANUP(fw_setting_free) = NULL;
	const struct fw_yaml_node *node = fw_yaml_root(document);

	if (!node || fw_yaml_kind(node) == FW_YAML_NULL)
		return fw_error_at(err, fw_fail(err, FW_E_INVALID, "the workflow is empty"), fw_yaml_name(document), 1, 1, NULL, 0);
	int rc = fw_setting_new(document, node, NULL, &root, err);
	if (rc != FW_OK)
		return rc;
	if (root->kind != FW_SETTING_MAP)
		return fw_grammar_check(&fw_grammar_workflow, root, err);
	rc = fw_overrides_apply(overrides, root, &documents, err);
	if (rc == FW_OK)
		rc = fw_grammar_check(&fw_grammar_workflow, root, err);
	if (rc != FW_OK)
		return rc;
	reader->root = root;
	rc = read_workflow(reader, err);
	reader->root = NULL;
	free(reader->links.items);
	return rc;
}

/* Every error says what to do, if only where to read. */
static int hint_page(struct fw_error **err, int rc)
{
	if (!err || fw_error_hint_text(*err) || strstr(fw_error_message(*err), "did you mean"))
		return rc;
	return fw_error_hint(err, rc, "docs/workflow.md shows what a workflow file looks like");
}

int fw_workflow_parse(const char *path, const char *text, size_t length, const struct fw_overrides *overrides,
                      bool check_files, struct fw_workflow **workflow, struct fw_error **err)
{
	struct fw_yaml_document *document FW_CLEANUP(fw_yaml_free) = NULL;
	struct fw_workflow *made FW_CLEANUP(fw_workflow_free) = fw_alloc(sizeof *made);
	struct fw_reader reader = {.workflow = made, .check_files = check_files};
	fw_cleanup_free char *here = working_directory();
	int rc = fw_yaml_load(path, text, length, &document, err);

	if (rc != FW_OK)
		return hint_page(err, rc);
	made->path = resolve(here, path);
	made->directory = fw_workflow_is_streamed(made->path) ? FW_TAKE(here) : directory_of(made->path);
	made->text = fw_strndup(text, length);
	rc = read_document(document, overrides, &reader, err);
	if (rc != FW_OK)
		return hint_page(err, rc);
	*workflow = FW_TAKE(made);
	return FW_OK;
}

bool fw_workflow_is_streamed(const char *path)
{
	struct fw_str text = fw_str_of(path);

	return fw_str_starts(text, "/dev/") || fw_str_starts(text, "/proc/");
}

static bool is_directory(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* One that has a name may have no writer, ever; that of `flexwatt check /dev/stdin` or `<(command)` has one or has had it. */
static bool is_named_pipe(const char *path)
{
	struct stat status;
	struct statfs where;

	return stat(path, &status) == 0 && S_ISFIFO(status.st_mode) &&
	       (statfs(path, &where) < 0 || where.f_type != PIPEFS_MAGIC);
}

int fw_workflow_load(const char *path, const struct fw_overrides *overrides, struct fw_workflow **workflow,
                     struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer text;
	int rc = FW_OK;

	fw_buffer_init(&text, FW_YAML_MAX_BYTES + 1); /* one for the end of the text */
	if (is_named_pipe(path)) {
		rc = fw_fail(err, FW_E_USAGE, "no workflow file '%s'", path);
		return fw_error_hint(err, rc, "it is a named pipe; `flexwatt check /dev/stdin <%s` reads from it", path);
	}
	rc = fw_read_file(AT_FDCWD, path, &text, err);
	if (rc == FW_E_ABSENT || (rc != FW_OK && is_directory(path))) { /* a wrong argument, not a broken environment */
		if (err)
			fw_error_free(FW_TAKE(*err));
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "no workflow file '%s'", path),
		                     rc == FW_E_ABSENT ? "a YAML file: see docs/workflow.md"
		                                       : "it is a directory; name the YAML file in it");
	}
	if (rc == FW_E_LIMIT) {
		if (err)
			fw_error_free(FW_TAKE(*err));
		return fw_error_hint(err, fw_fail(err, rc, "%s: larger than a workflow file may be, %d MiB", path, FW_YAML_MAX_BYTES >> 20),
		                     "data belongs into the storage: a stage's inputs name it by keys");
	}
	if (rc != FW_OK)
		return fw_error_hint(err, rc, "the workflow file must be a YAML file that you may read");
	return fw_workflow_parse(path, text.data, text.length, overrides, true, workflow, err);
}
