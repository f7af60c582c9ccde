// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// libyaml, which Swift can call as it is.

#ifndef CYAML_SHIM_H
#define CYAML_SHIM_H

#include <yaml.h>

#endif
