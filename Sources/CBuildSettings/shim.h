// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// Texts that a build may set: Swift's own -D knows no values.

#ifndef CBUILDSETTINGS_SHIM_H
#define CBUILDSETTINGS_SHIM_H

// A test compares this with the changelog's top entry.
#ifndef CSI_HEALTH_MONITOR_VERSION
#define CSI_HEALTH_MONITOR_VERSION 0.1.0-dev
#endif

#ifndef CSI_HEALTH_MONITOR_REVISION
#define CSI_HEALTH_MONITOR_REVISION unknown
#endif

#define CBUILDSETTINGS_QUOTED(text) #text
#define CBUILDSETTINGS_TEXT(macro) CBUILDSETTINGS_QUOTED(macro)

/// The version, without a leading "v".
static inline const char *cbuildsettings_version(void) {
    return CBUILDSETTINGS_TEXT(CSI_HEALTH_MONITOR_VERSION);
}

/// The commit.
static inline const char *cbuildsettings_revision(void) {
    return CBUILDSETTINGS_TEXT(CSI_HEALTH_MONITOR_REVISION);
}

#endif
