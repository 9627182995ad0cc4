/* SPDX-License-Identifier: Apache-2.0
 *
 * The BPF programs as bpftool embeds them (made by the build from bpf/work.bpf.c). Generated code answers to no warning
 * of ours: a system header's are not shown.
 */
#pragma once

#pragma GCC system_header

#include "work.skel.h"
