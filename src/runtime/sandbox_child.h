/* SPDX-License-Identifier: Apache-2.0
 *
 * What code in a vfork child may use. The child shares the engine's memory while the engine's thread stands still and its
 * other threads go on: no allocation, no locks, no stdio, and no libc wrapper that acts on all threads (setuid and its
 * kin). FW_CHILD marks such a function and keeps the sanitizers' bookkeeping out of it.
 */
#pragma once

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || defined __has_feature
#define FW_CHILD __attribute__((no_sanitize("address", "undefined", "thread")))
#else
#define FW_CHILD
#endif

/* syscall(2) takes longs: this makes one of whatever a call takes. */
#define fw_call(...) syscall(__VA_ARGS__)

typedef int fw_child_fn(void *context);

enum { FW_CHILD_STACK_BYTES = 128 * 1024 };

/* Runs `function` in a child on a stack of its own, with the caller's memory, until it has called exec or ended. Signals
 * are blocked and at their defaults in the child. `flags` are CLONE_*; returns the pid, or -1 and errno.
 * `nested`: called from within such a child (its stack is the caller's to give). */
pid_t fw_child_run(fw_child_fn *function, void *context, int flags, int *pidfd);
pid_t fw_child_run_nested(fw_child_fn *function, void *context, int flags, int *pidfd, void *stack_top);
/* The same without waiting. *uses_memory is 1 until the child has called exec or ended, and must live until then as the
 * stack must: fw_child_await() waits for it, in any process that shares the memory. */
pid_t fw_child_begin_nested(fw_child_fn *function, void *context, int flags, int *pidfd, void *stack_top,
                            int *uses_memory);
void fw_child_await(int *uses_memory);
