// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// Swift can call libyaml without a shim.

#ifndef CYAML_SHIM_H
#define CYAML_SHIM_H

#include <yaml.h>

#endif
