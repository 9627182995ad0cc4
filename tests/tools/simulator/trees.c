/* SPDX-License-Identifier: Apache-2.0
 *
 * One table from thread to tree. Numbers of threads are given anew by the kernel: a fork always overwrites.
 */
#include "trees.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t most_threads(void)
{
	FILE *file = fopen("/proc/sys/kernel/pid_max", "re");
	unsigned limit = 4194304;

	if (file) {
		if (fscanf(file, "%u", &limit) != 1)
			limit = 4194304;
		fclose(file);
	}
	return limit + 2; /* the last one stands for numbers that cannot be */
}

bool sim_trees_open(struct sim_switches *switches)
{
	switches->thread_limit = most_threads();
	switches->tree_of = calloc(switches->thread_limit, sizeof *switches->tree_of);
	return switches->tree_of != NULL;
}

static unsigned tree_named(struct sim_switches *switches, const char *name)
{
	for (unsigned i = 1; i < switches->tree_count; i++)
		if (strcmp(switches->names[i], name) == 0)
			return i;
	if (switches->tree_count == SIM_TREES || !(switches->names[switches->tree_count] = strdup(name)))
		return SIM_REST;
	return switches->tree_count++;
}

void sim_trees_fork(struct sim_switches *switches, uint32_t tid, uint32_t parent_tid)
{
	if (tid < switches->thread_limit && parent_tid < switches->thread_limit)
		switches->tree_of[tid] = switches->tree_of[parent_tid];
}

/* The last part of a path of its control groups that begins with the prefix; a process that has ended meanwhile keeps the
 * tree of its parent. */
void sim_trees_exec(struct sim_switches *switches, uint32_t tid)
{
	char path[64], line[4096];

	if (tid >= switches->thread_limit)
		return;
	snprintf(path, sizeof path, "/proc/%u/cgroup", tid);
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof line, file)) {
		char *name = strrchr(line, '/');

		line[strcspn(line, "\n")] = '\0';
		if (name && strncmp(name + 1, switches->prefix, strlen(switches->prefix)) == 0) {
			switches->tree_of[tid] = (uint16_t)tree_named(switches, name + 1);
			break;
		}
	}
	if (file)
		fclose(file);
}

bool sim_switches_watch(struct sim_switches *switches, pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *threads = opendir(path);

	if (!threads)
		return false;
	for (struct dirent *entry; (entry = readdir(threads));) {
		uint32_t tid = (uint32_t)strtoul(entry->d_name, NULL, 10);

		if (tid != 0 && tid < switches->thread_limit)
			switches->tree_of[tid] = (uint16_t)tree_named(switches, name);
	}
	closedir(threads);
	return true;
}

void sim_trees_close(struct sim_switches *switches)
{
	for (unsigned i = 1; i < switches->tree_count; i++)
		free(switches->names[i]);
	free(switches->tree_of);
}
