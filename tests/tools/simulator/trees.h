/* SPDX-License-Identifier: Apache-2.0
 *
 * Which tree a thread belongs to: inherited at fork, named at exec by the control group. See switches.h.
 */
#pragma once

#include "switches.h"

bool sim_trees_open(struct sim_switches *switches);
void sim_trees_fork(struct sim_switches *switches, uint32_t tid, uint32_t parent_tid);
void sim_trees_exec(struct sim_switches *switches, uint32_t tid);
void sim_trees_close(struct sim_switches *switches);
