/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of workflow/ share. The way of a file: bytes → settings (a tree of what the file and the overrides say,
 * each knowing where it was said) → shape checked against the grammar's table → structures → references resolved.
 * After the shape check every reader may rely on types, ranges and required keys.
 */
#pragma once

#include "base/yaml.h"
#include "workflow/workflow.h"

enum {
	FW_NAME_MAX = 64,
	FW_STAGES_MAX = 1000,
	FW_COMMAND_MAX = 1000, /* words */
};

/* ---- grammar.c: the one table ---- */

enum fw_value {
	FW_VALUE_NAME,        /* text of [A-Za-z0-9_-]{1,64} */
	FW_VALUE_TEXT,
	FW_VALUE_INTEGER,
	FW_VALUE_SECONDS,     /* whole or fractional */
	FW_VALUE_BOOLEAN,
	FW_VALUE_CHOICE,
	FW_VALUE_CHARACTER,   /* one of ASCII that can separate: no quote, no end of line; "\\t" stands for a tab */
	FW_VALUE_WORKERS,     /* an integer or "auto" */
	FW_VALUE_OBJECT,      /* a mapping with the keys of `object` */
	FW_VALUE_NAMED,       /* a mapping from names to `object`s */
	FW_VALUE_WORDS,       /* a list of text; numbers are taken as written */
	FW_VALUE_NAMES,       /* a list of names */
	FW_VALUE_ENVIRONMENT, /* a mapping from variables to scalars */
	FW_VALUE_PARAMS,      /* a mapping of anything */
	FW_VALUE_SCALAR,      /* text, number or truth value */
	FW_VALUE_ANY,
};

struct fw_grammar {
	const char *name;      /* singular, as errors say it: "stage" */
	const char *shorthand; /* plain text stands for this key; NULL: no short form */
	const char *help;
	const char *const *one_of; /* keys of which exactly one must be there, ends with NULL; or NULL */
	const char *one_of_hint;
	const struct fw_grammar_key *keys;
	size_t count;
};

struct fw_grammar_key {
	const char *key;
	enum fw_value value;
	int64_t minimum, maximum;
	const char *unit;
	const char *const *choices;      /* ends with NULL */
	const char *const *later;        /* choices that are not built yet, ends with NULL */
	const struct fw_grammar *object;
	const char *fallback;            /* the default as JSON; NULL: none */
	bool required;
	bool unavailable;                /* the whole key is not built yet */
	const char *otherwise;           /* what holds without the key when it is not a plain default, for people */
	const char *help;
};

extern const struct fw_grammar fw_grammar_workflow, fw_grammar_function, fw_grammar_python, fw_grammar_defaults,
	fw_grammar_stage, fw_grammar_input, fw_grammar_output, fw_grammar_condition;

/* Every object of the grammar, outermost first; ends with NULL. */
extern const struct fw_grammar *const fw_grammars[];

const struct fw_grammar_key *fw_grammar_find(const struct fw_grammar *grammar, const char *key);
/* The default of a key that has one, as a new JSON value. */
json_t *fw_grammar_default(const struct fw_grammar *grammar, const char *key);

/* ---- setting.c: what was said, and where ---- */

enum fw_setting_kind {
	FW_SETTING_NULL,
	FW_SETTING_BOOLEAN,
	FW_SETTING_INTEGER,
	FW_SETTING_REAL,
	FW_SETTING_TEXT,
	FW_SETTING_LIST,
	FW_SETTING_MAP,
};

struct fw_setting;
struct fw_setting_entry {
	char *key; /* NULL in lists */
	const struct fw_yaml_node *key_node; /* NULL when no file says it */
	struct fw_setting *value;
};

struct fw_setting {
	enum fw_setting_kind kind;
	const struct fw_yaml_document *document; /* NULL: made by an override's path */
	const struct fw_yaml_node *node;
	const struct fw_override *override; /* that said it, borrowed; NULL: the file did */
	json_t *json;         /* scalars */
	char *text;           /* scalars, as written */
	FW_VECTOR(struct fw_setting_entry) entries;
};

int fw_setting_new(const struct fw_yaml_document *document, const struct fw_yaml_node *node,
                   const struct fw_override *override, struct fw_setting **setting, struct fw_error **err);
struct fw_setting *fw_setting_new_map(const struct fw_override *override);
/* Points at a byte of an override's text. */
int fw_override_fail(struct fw_error **err, const struct fw_override *override, size_t offset, int code,
                     const char *message);
void fw_setting_free(struct fw_setting *setting);
FW_DEFINE_CLEANUP(struct fw_setting *, fw_setting_free)

struct fw_setting *fw_setting_get(const struct fw_setting *map, const char *key); /* NULL when absent or no map */
void fw_setting_put(struct fw_setting *map, const char *key, struct fw_setting *value); /* takes the value; replaces */
json_t *fw_setting_json(const struct fw_setting *setting);      /* new reference */
char *fw_setting_found(const struct fw_setting *setting);       /* "text 'abc'", "a list"; newly allocated */
int fw_setting_fail(struct fw_error **err, const struct fw_setting *setting, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int fw_setting_fail_key(struct fw_error **err, const struct fw_setting_entry *entry, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- override.c, check.c ---- */

/* `documents` keeps what the new settings borrow from; the caller frees them after the tree. */
struct fw_documents {
	FW_VECTOR(struct fw_yaml_document *) list;
};
void fw_documents_done(struct fw_documents *documents);
int fw_overrides_apply(const struct fw_overrides *overrides, struct fw_setting *root, struct fw_documents *documents,
                       struct fw_error **err);

/* Turns a short form, or nothing, into a mapping. */
void fw_grammar_expand(const struct fw_grammar *grammar, struct fw_setting *setting);
/* Checks the shape and turns short forms into full ones. */
int fw_grammar_check(const struct fw_grammar *grammar, struct fw_setting *setting, struct fw_error **err);
bool fw_name_is_valid(const char *name);
/* " (did you mean 'x'?)" or "": newly allocated. */
char *fw_did_you_mean(const char *word, const char *const *candidates, size_t count);
struct fw_names {
	FW_VECTOR(const char *) list;
};
/* "<message> 'word' (did you mean 'x'?)"; without a near one the hint lists what there is: "<what>: a, b". Frees the names. */
int fw_fail_unknown(struct fw_error **err, const struct fw_setting *where, struct fw_names *names, const char *what,
                    const char *word, const char *message);

/* ---- reading ---- */

struct fw_link { /* why a stage waits for another, and where that is said */
	size_t producer, consumer;
	const struct fw_setting *where;
};

struct fw_reader {
	struct fw_workflow *workflow;
	const struct fw_setting *root;
	bool check_files;
	FW_VECTOR(struct fw_link) links;
};

int fw_read_stage(struct fw_reader *reader, const struct fw_setting *setting, struct fw_stage *stage,
                  struct fw_error **err);
/* The function of a stage: its own or the workflow's, with the stage's handler and environment. */
int fw_read_function(struct fw_reader *reader, const struct fw_setting *setting, struct fw_stage *stage,
                     struct fw_error **err);
/* Inputs, after, when and payload of all stages; then edges, producers, cycles and order. */
int fw_link_stages(struct fw_reader *reader, struct fw_error **err);
int fw_link_edges(const struct fw_setting *setting, struct fw_stage *stage, struct fw_error **err);
int fw_order_stages(struct fw_reader *reader, struct fw_error **err);
/* Finds a stage by name or fails at `where` with a suggestion. */
int fw_find_stage(const struct fw_reader *reader, const struct fw_setting *where, const char *name, size_t length,
                  size_t *index, struct fw_error **err);
void fw_add_link(struct fw_reader *reader, size_t producer, size_t consumer, const struct fw_setting *where);

/* Absolute: relative to the workflow's directory, or to the current one when an override says it. */
char *fw_resolve_path(const struct fw_reader *reader, const struct fw_setting *setting);
int fw_read_storage(struct fw_reader *reader, struct fw_error **err);
/* bucket.c: "s3://bucket/prefix?…". */
int fw_read_bucket(struct fw_reader *reader, const struct fw_setting *setting, struct fw_error **err);
/* One part of such a storage: "region". *reason is set when it has no such part, or is none. */
int fw_override_bucket(struct fw_setting *storage, const char *part, const char *value, const char **reason,
                       struct fw_error **err);
int fw_check_glob(const struct fw_setting *setting, struct fw_error **err);
/* Package, python and node directories: are they there, and is the handler in them? */
int fw_check_function_files(const struct fw_function *function, const struct fw_setting *where,
                            const struct fw_setting *interpreter, struct fw_error **err);
/* {input.x}, {output.x} and {param.x} of a command against what the stage declares. */
int fw_check_command(const struct fw_stage *stage, const struct fw_setting *words, struct fw_error **err);
/* ${stage.result.x} and ${output.x} of a payload; links the producers. */
int fw_link_payload(struct fw_reader *reader, size_t stage, const struct fw_setting *payload, struct fw_error **err);

enum { FW_MODE_EXECUTABLE = 0111 };
/* The Unix mode of a member of a zip, from its bytes. FW_E_INVALID: no zip; FW_E_ABSENT: no such member. */
int fw_zip_mode(const char *bytes, size_t length, const char *member, unsigned *mode, struct fw_error **err);

/* effective.c: the workflow as a file that says everything, and its digest. */
json_t *fw_workflow_effective(const struct fw_workflow *workflow);
void fw_workflow_digest(const struct fw_workflow *workflow, char text[65]);
const char *fw_operator_name(enum fw_operator operator_);
const char *fw_edge_name(enum fw_edge edge);
enum fw_edge fw_edge_of(const char *name); /* one of the grammar's */
const char *fw_range_name(enum fw_range_kind kind);
enum fw_range_kind fw_range_of(const char *name); /* one of the grammar's */
