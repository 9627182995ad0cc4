/* SPDX-License-Identifier: Apache-2.0
 *
 * Capabilities that the program's file was given, so that a user without root can read energy counters. The right to read any
 * file is held back but for the moment in which counters of the machine are opened: what the user names is read as
 * the user. Of a superuser nothing is held back.
 */
#pragma once

/* First thing in main(), before there are threads: what counters and BPF need becomes effective, the rest does not. Also undoes
 * what the kernel does to such a program beside: its files in /proc are the user's again, which user namespaces need. */
void fw_privileges_hold_back(void);

/* Calling thread. In pairs, around the opening of files below /sys that the user did not name. They do nothing in a process that
 * has not held back: in a host of our library its capabilities are its own. */
void fw_privileges_raise(void);
void fw_privileges_lower(void);
