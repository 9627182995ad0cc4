/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema's history: step n brings user_version from n to n + 1. Steps are never changed once released, only added.
 * Tables with a column per field (invocation, energy, stage, series, reading) are made and extended from their column
 * tables after the steps (schema.c): a step is only needed to rename, retype or drop one of their columns.
 */
#pragma once

static const char *const schema_steps[] = {
	/* 0 -> 1 */
	"CREATE TABLE run("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT," /* never given twice: a writer that outlives its run must not meet another */
	"  run TEXT NOT NULL UNIQUE,"
	"  workflow TEXT, workflow_path TEXT, workflow_digest TEXT, workflow_text TEXT,"
	"  backend TEXT, storage TEXT, state TEXT, wall_ms INTEGER, makespan_ms REAL,"
	"  environment TEXT, totals TEXT, error TEXT,"
	"  pid INTEGER, boot_id TEXT, pid_start INTEGER,"
	"  sweep TEXT, repetition INTEGER, configuration TEXT) STRICT;"
	"CREATE INDEX run_by_start ON run(wall_ms, id);"
	"CREATE INDEX run_by_sweep ON run(sweep) WHERE sweep IS NOT NULL;"
	"CREATE TABLE name("
	"  run INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,"
	"  id INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY(run, id)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE event_data("
	"  run INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,"
	"  seq INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY(run, seq)) STRICT, WITHOUT ROWID;"
	"CREATE VIEW event AS SELECT (SELECT r.run FROM run r WHERE r.id = d.run) AS run, d.seq, d.text FROM event_data d;"
	"CREATE TABLE sweep("
	"  sweep TEXT PRIMARY KEY, workflow TEXT, state TEXT, wall_ms INTEGER,"
	"  design TEXT, totals TEXT, error TEXT) STRICT, WITHOUT ROWID;",
	/* 1 -> 2: readings come in portions; nothing has been written into the table of single ones */
	"DROP VIEW IF EXISTS reading; DROP TABLE IF EXISTS reading_data;",
};
