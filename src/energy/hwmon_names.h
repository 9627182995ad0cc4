/* SPDX-License-Identifier: Apache-2.0
 *
 * Foreign text of hwmon: files of channels, chips and labels, and numbers.
 */
#pragma once

#include "base/str.h"
#include "energy/domain.h"
#include "energy/units.h"

/* The file of one channel: "energy12_input", "power1_average". */
struct fw_hwmon_file {
	bool is_power, is_average;
	unsigned number;
};
bool fw_hwmon_file_parse(struct fw_str text, struct fw_hwmon_file *file);
/* What a chip's channel measures, by its label: kind, package, is_root, name. Any text is a label. False: of one core
 * alone, of which there may be hundreds. */
bool fw_hwmon_label_parse(struct fw_str chip, struct fw_str label, struct fw_domain *domain);
bool fw_hwmon_energy_parse(struct fw_str text, struct fw_microjoules *energy);
bool fw_hwmon_power_parse(struct fw_str text, struct fw_microwatts *power);
