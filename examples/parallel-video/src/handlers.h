/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers of the two modules.
 */
#pragma once

#include "flexwatt/function.h"

fw_handler_fn cut, process, stitch;
