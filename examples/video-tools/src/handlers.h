/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers of the tools module.
 */
#pragma once

#include "flexwatt/function.h"

fw_handler_fn scale, crop, overlay;
