/* SPDX-License-Identifier: Apache-2.0
 *
 * The shape check: settings against the grammar's table. Unknown keys, wrong types, ranges, choices, required keys and what
 * is not built yet are refused here, so that readers need not look. Short forms become full ones.
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/workflow_internal.h"

enum { NAMES_LISTED_MAX = 400 }; /* characters */

bool fw_name_is_valid(const char *name)
{
	size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return length > 0 && length <= FW_NAME_MAX && name[length] == '\0';
}

char *fw_did_you_mean(const char *word, const char *const *candidates, size_t count)
{
	const char *nearest = fw_nearest(word, candidates, count);

	return nearest ? fw_printf(" (did you mean '%s'?)", nearest) : fw_strdup("");
}

/* Without a near one the hint lists what there is. */
static int hint_names(struct fw_error **err, int rc, const struct fw_names *names, const char *what)
{
	fw_cleanup_buffer struct fw_buffer known;

	fw_buffer_init(&known, NAMES_LISTED_MAX);
	for (size_t i = 0; i < names->list.count; i++)
		fw_buffer_printf(&known, "%s%s", i == 0 ? "" : ", ", names->list.items[i]);
	return known.length > 0 ? fw_error_hint(err, rc, "%s: %s%s", what, known.data, known.failed ? ", …" : "")
	                        : fw_error_hint(err, rc, "there are no %s", what);
}

int fw_fail_unknown(struct fw_error **err, const struct fw_setting *where, struct fw_names *names, const char *what,
                    const char *word, const char *message)
{
	fw_cleanup_free char *meant = fw_did_you_mean(word, names->list.items, names->list.count);
	int rc = fw_setting_fail(err, where, FW_E_INVALID, "%s '%.80s'%s", message, word, meant);

	rc = *meant ? rc : hint_names(err, rc, names, what);
	free(names->list.items);
	return rc;
}

static int fail_type(struct fw_error **err, const struct fw_setting *setting, const char *key, const char *expected)
{
	fw_cleanup_free char *found = fw_setting_found(setting);

	return fw_setting_fail(err, setting, FW_E_INVALID, "%s: expected %s, found %s", key, expected, found);
}

static int check_name(const struct fw_setting *setting, const char *key, struct fw_error **err)
{
	if (setting->kind == FW_SETTING_TEXT && fw_name_is_valid(setting->text))
		return FW_OK;
	if (setting->kind != FW_SETTING_TEXT && setting->kind != FW_SETTING_INTEGER)
		return fail_type(err, setting, key, "a name");
	if (fw_name_is_valid(setting->text))
		return FW_OK;
	return fw_setting_fail(err, setting, FW_E_INVALID,
	                       "%s: '%.80s' is no name: it may have 1 to %d letters, digits, '_' and '-'", key,
	                       setting->text, FW_NAME_MAX);
}

static int check_text(const struct fw_setting *setting, const char *key, struct fw_error **err)
{
	if (setting->kind == FW_SETTING_TEXT)
		return FW_OK;
	int rc = fail_type(err, setting, key, "text");
	if (setting->kind == FW_SETTING_LIST || setting->kind == FW_SETTING_MAP || setting->kind == FW_SETTING_NULL)
		return rc;
	return fw_error_hint(err, rc, "put it in quotes: %s: \"%.60s\"", key, setting->text);
}

static int check_number(const struct fw_grammar_key *key, const struct fw_setting *setting, struct fw_error **err)
{
	bool whole = setting->kind == FW_SETTING_INTEGER;
	bool real = setting->kind == FW_SETTING_REAL && key->value == FW_VALUE_SECONDS;
	const char *unit = key->unit ? key->unit : "";
	const char *space = key->unit ? " " : "";

	if (!whole && !real) {
		fw_cleanup_free char *expected = fw_printf("a %snumber%s%s%s", key->value == FW_VALUE_SECONDS ? "" : "whole ",
		                                           key->unit ? " of " : "", unit,
		                                           key->value == FW_VALUE_WORKERS ? " or auto" : "");
		return fail_type(err, setting, key->key, expected);
	}
	double value = json_number_value(setting->json);
	if (value >= (double)key->minimum && value <= (double)key->maximum)
		return FW_OK;
	return fw_setting_fail(err, setting, FW_E_INVALID, "%s: %.40s%s%s is out of range (%lld to %lld%s%s%s)", key->key,
	                       setting->text, space, unit, (long long)key->minimum, (long long)key->maximum, space, unit,
	                       key->value == FW_VALUE_WORKERS ? ", or auto" : "");
}

static int fail_unavailable(struct fw_error **err, const struct fw_setting *setting, const struct fw_grammar_key *key)
{
	int rc = fw_setting_fail(err, setting, FW_E_UNAVAILABLE, "%s%s%.60s is not available in this version", key->key,
	                         setting->text ? ": " : "", setting->text ? setting->text : "");

	return key->choices ? fw_error_hint(err, rc, "this version knows %s: %s", key->key, key->choices[0])
	                    : fw_error_hint(err, rc, "leave '%s' out", key->key);
}

static size_t count_words(const char *const *words)
{
	size_t count = 0;

	while (words && words[count])
		count++;
	return count;
}

static bool is_word(const char *const *words, const char *word)
{
	for (size_t i = 0; i < count_words(words); i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return false;
}

/* "a, b or c" */
static char *list_words(const char *const *words, const char *quote, const char *last)
{
	fw_cleanup_buffer struct fw_buffer list;
	size_t count = count_words(words);

	fw_buffer_init(&list, 1024);
	for (size_t i = 0; i < count; i++)
		fw_buffer_printf(&list, "%s%s%s%s", i == 0 ? "" : i + 1 == count ? last : ", ", quote, words[i], quote);
	return fw_buffer_take(&list);
}

static int check_choice(const struct fw_grammar_key *key, const struct fw_setting *setting, struct fw_error **err)
{
	if (setting->kind == FW_SETTING_TEXT && is_word(key->choices, setting->text))
		return FW_OK;
	if (setting->kind == FW_SETTING_TEXT && is_word(key->later, setting->text))
		return fail_unavailable(err, setting, key);
	fw_cleanup_free char *list = list_words(key->choices, "", " or ");
	fw_cleanup_free char *found = fw_setting_found(setting);
	fw_cleanup_free char *meant = fw_did_you_mean(setting->text ? setting->text : "", key->choices,
	                                              count_words(key->choices));
	return fw_setting_fail(err, setting, FW_E_INVALID, "%s: expected %s, found %s%s", key->key, list, found, meant);
}

static int check_character(const struct fw_grammar_key *key, const struct fw_setting *setting, struct fw_error **err)
{
	int rc = check_text(setting, key->key, err);
	const char *text = setting->text;

	if (rc != FW_OK || strcmp(text, "\\t") == 0 || strcmp(text, "\t") == 0)
		return rc;
	if (strlen(text) == 1 && *text >= ' ' && *text < 0x7f && *text != '"')
		return FW_OK;
	return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID, "%s: '%.20s' is not one character of ASCII that "
	                                          "can stand between cells", key->key, text),
	                     "for example %s: \";\" or, for a tab, %s: \"\\t\"", key->key, key->key);
}

static bool is_scalar(const struct fw_setting *setting)
{
	return setting->kind != FW_SETTING_LIST && setting->kind != FW_SETTING_MAP && setting->kind != FW_SETTING_NULL;
}

/* "gzip -k x" as it should have been: "[gzip, -k, x]". */
static int hint_list(struct fw_error **err, int rc, const char *key, const char *text)
{
	struct fw_str rest = fw_str_of(text), word;
	fw_cleanup_buffer struct fw_buffer list;

	fw_buffer_init(&list, NAMES_LISTED_MAX);
	while (fw_str_next_word(&rest, &word))
		fw_buffer_printf(&list, "%s%.*s", list.length > 0 ? ", " : "", (int)word.length, word.text);
	return fw_error_hint(err, rc, "write it as a list: %s: [%s%s]", key, list.data ? list.data : "",
	                     list.failed ? ", …" : "");
}

static int check_list(const struct fw_grammar_key *key, const struct fw_setting *setting, struct fw_error **err)
{
	bool names = key->value == FW_VALUE_NAMES;

	if (setting->kind != FW_SETTING_LIST) {
		int rc = fail_type(err, setting, key->key, names ? "a list of names" : "a list of words");

		return setting->kind == FW_SETTING_TEXT ? hint_list(err, rc, key->key, setting->text) : rc;
	}
	for (size_t i = 0; i < setting->entries.count; i++) {
		const struct fw_setting *item = setting->entries.items[i].value;

		if (names) {
			int rc = check_name(item, key->key, err);

			if (rc != FW_OK)
				return rc;
		} else if (!is_scalar(item)) {
			return fail_type(err, item, key->key, "a word");
		}
	}
	return FW_OK;
}

/* The variables that every Lambda runtime sets itself. */
static bool is_reserved_variable(const char *name)
{
	static const char *const reserved[] = {
		"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
		"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
		"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", NULL,
	};

	return is_word(reserved, name);
}

static bool is_variable(const char *name)
{
	size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

	return length > 0 && length <= 256 && name[length] == '\0' && !(name[0] >= '0' && name[0] <= '9');
}

static int check_environment(const struct fw_grammar_key *key, const struct fw_setting *setting, struct fw_error **err)
{
	if (setting->kind != FW_SETTING_MAP)
		return fail_type(err, setting, key->key, "a mapping from variables to text");
	for (size_t i = 0; i < setting->entries.count; i++) {
		const struct fw_setting_entry *entry = &setting->entries.items[i];

		if (!is_variable(entry->key))
			return fw_error_hint(err, fw_setting_fail_key(err, entry, FW_E_INVALID, "%s: '%.80s' is no name of a variable",
			                                              key->key, entry->key),
			                     "letters, digits and '_', no digit first");
		if (is_reserved_variable(entry->key))
			return fw_error_hint(err, fw_setting_fail_key(err, entry, FW_E_INVALID, "%s: %s is set by the runtime", key->key,
			                                              entry->key),
			                     "every Lambda runtime sets it; choose another name");
		if (!is_scalar(entry->value)) {
			fw_cleanup_free char *name = fw_printf("%s: %s", key->key, entry->key);

			return fail_type(err, entry->value, name, "text");
		}
	}
	return FW_OK;
}

static int check_named(const struct fw_grammar_key *key, struct fw_setting *setting, struct fw_error **err)
{
	if (setting->kind == FW_SETTING_NULL)
		setting->kind = FW_SETTING_MAP; /* "outputs:" with nothing behind it */
	if (setting->kind != FW_SETTING_MAP) {
		fw_cleanup_free char *expected = fw_printf("a mapping from names to %ss", key->object->name);

		return fail_type(err, setting, key->key, expected);
	}
	for (size_t i = 0; i < setting->entries.count; i++) {
		struct fw_setting_entry *entry = &setting->entries.items[i];

		if (!fw_name_is_valid(entry->key))
			return fw_setting_fail_key(err, entry, FW_E_INVALID,
			                           "'%.80s' is no name of a%s %s: it may have 1 to %d letters, digits, '_' and '-'",
			                           entry->key, strchr("aio", key->object->name[0]) ? "n" : "", key->object->name,
			                           FW_NAME_MAX);
		int rc = fw_grammar_check(key->object, entry->value, err);
		if (rc != FW_OK)
			return fw_error_wrap(err, rc, "%s '%s'", key->object->name, entry->key);
	}
	return FW_OK;
}

static int check_type(const struct fw_grammar_key *key, struct fw_setting *setting, struct fw_error **err)
{
	if (key->unavailable)
		return fail_unavailable(err, setting, key);
	switch (key->value) {
	case FW_VALUE_NAME:
		return check_name(setting, key->key, err);
	case FW_VALUE_TEXT:
		return check_text(setting, key->key, err);
	case FW_VALUE_WORKERS:
		if (setting->kind == FW_SETTING_TEXT && strcmp(setting->text, "auto") == 0)
			return FW_OK;
		return check_number(key, setting, err);
	case FW_VALUE_INTEGER:
	case FW_VALUE_SECONDS:
		return check_number(key, setting, err);
	case FW_VALUE_BOOLEAN:
		return setting->kind == FW_SETTING_BOOLEAN ? FW_OK : fail_type(err, setting, key->key, "true or false");
	case FW_VALUE_CHOICE:
		return check_choice(key, setting, err);
	case FW_VALUE_CHARACTER:
		return check_character(key, setting, err);
	case FW_VALUE_OBJECT:
		return fw_error_wrap(err, fw_grammar_check(key->object, setting, err), "%s", key->key);
	case FW_VALUE_NAMED:
		return check_named(key, setting, err);
	case FW_VALUE_WORDS:
	case FW_VALUE_NAMES:
		return check_list(key, setting, err);
	case FW_VALUE_ENVIRONMENT:
		return check_environment(key, setting, err);
	case FW_VALUE_PARAMS:
		if (setting->kind == FW_SETTING_NULL)
			setting->kind = FW_SETTING_MAP;
		return setting->kind == FW_SETTING_MAP ? FW_OK : fail_type(err, setting, key->key, "a mapping");
	case FW_VALUE_SCALAR:
		return is_scalar(setting) ? FW_OK : fail_type(err, setting, key->key, "text, a number or a truth value");
	case FW_VALUE_ANY:
		return FW_OK;
	}
	return FW_OK;
}

/* The hint of an error that has none: what the key is for. Help is Markdown; a terminal shows it without backticks. */
static int hint_help(struct fw_error **err, int rc, const struct fw_grammar_key *key)
{
	fw_cleanup_free char *help = fw_strdup(key->help);
	size_t length = 0;

	if (rc == FW_OK || !err || fw_error_hint_text(*err) || key->object)
		return rc; /* what is wrong inside an object has its own hint */
	for (const char *from = key->help; *from; from++)
		if (*from != '`')
			help[length++] = *from;
	help[length] = '\0';
	return fw_error_hint(err, rc, "%s", help);
}

static int check_value(const struct fw_grammar_key *key, struct fw_setting *setting, struct fw_error **err)
{
	return hint_help(err, check_type(key, setting, err), key);
}

/* A key that another object knows is misplaced rather than misspelt. */
static int fail_unknown(struct fw_error **err, const struct fw_grammar *grammar, const struct fw_setting_entry *entry)
{
	struct fw_names names = {0};

	for (size_t i = 0; i < grammar->count; i++)
		FW_PUSH(&names.list, grammar->keys[i].key);
	fw_cleanup_free char *what = fw_printf("keys of %s%s", grammar == &fw_grammar_workflow ? "the " : "", grammar->name);
	fw_cleanup_free char *meant = fw_did_you_mean(entry->key, names.list.items, names.list.count);
	int rc = fw_setting_fail_key(err, entry, FW_E_INVALID, "unknown key '%.80s'%s", entry->key, meant);
	rc = *meant ? rc : hint_names(err, rc, &names, what);
	free(names.list.items);
	for (size_t i = 0; *meant == '\0' && fw_grammars[i]; i++)
		if (fw_grammar_find(fw_grammars[i], entry->key))
			return fw_error_hint(err, rc, "'%s' is a key of %s%s", entry->key,
			                     fw_grammars[i] == &fw_grammar_workflow ? "the " : "", fw_grammars[i]->name);
	return rc;
}

void fw_grammar_expand(const struct fw_grammar *grammar, struct fw_setting *setting)
{
	struct fw_setting *full = NULL;

	if (setting->kind == FW_SETTING_NULL)
		setting->kind = FW_SETTING_MAP;
	if (setting->kind != FW_SETTING_TEXT || !grammar->shorthand)
		return;
	full = fw_alloc(sizeof *full);
	*full = *setting;
	setting->kind = FW_SETTING_MAP;
	setting->json = NULL;
	setting->text = NULL;
	fw_setting_put(setting, grammar->shorthand, full);
}

static int check_one_of(const struct fw_grammar *grammar, const struct fw_setting *setting, struct fw_error **err)
{
	size_t found = 0;

	for (size_t i = 0; i < count_words(grammar->one_of); i++)
		found += fw_setting_get(setting, grammar->one_of[i]) != NULL;
	if (found == 1 || !grammar->one_of)
		return FW_OK;
	fw_cleanup_free char *list = list_words(grammar->one_of, "'", " and ");
	return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID, "exactly one of %s is needed", list), "%s",
	                     grammar->one_of_hint);
}

int fw_grammar_check(const struct fw_grammar *grammar, struct fw_setting *setting, struct fw_error **err)
{
	fw_grammar_expand(grammar, setting);
	if (setting->kind != FW_SETTING_MAP) {
		fw_cleanup_free char *found = fw_setting_found(setting);

		return fw_setting_fail(err, setting, FW_E_INVALID, "expected a mapping%s, found %s",
		                       grammar->shorthand ? " or text" : "", found);
	}
	for (size_t i = 0; i < setting->entries.count; i++) {
		const struct fw_setting_entry *entry = &setting->entries.items[i];
		const struct fw_grammar_key *key = fw_grammar_find(grammar, entry->key);
		int rc = key ? check_value(key, entry->value, err) : fail_unknown(err, grammar, entry);

		if (rc != FW_OK)
			return rc;
	}
	for (size_t i = 0; i < grammar->count; i++)
		if (grammar->keys[i].required && !fw_setting_get(setting, grammar->keys[i].key))
			return fw_error_hint(err, fw_setting_fail(err, setting, FW_E_INVALID, "'%s' is missing", grammar->keys[i].key),
			                     "%s: %s", grammar->keys[i].key, grammar->keys[i].help);
	return check_one_of(grammar, setting, err);
}
