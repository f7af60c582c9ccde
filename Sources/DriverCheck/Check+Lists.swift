// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// Lists of volumes.

extension Check {
    static let listDefinitions: [Check: Definition] = [
        .maxEntries: Definition(
            severity: .error,
            section: "ListVolumes, ControllerListVolumeHealth",
            title: "A page has at most max_entries entries",
            advice: "Return max_entries entries and a next_token.",
            effect: "None: larger pages are read.",
            skipReason: "the driver lists no volume health",
            sides: [.controller]
        ),
        .sameVolumes: Definition(
            severity: .error,
            section: "ListVolumes, ControllerListVolumeHealth",
            title: "Lists with max_entries 1 and 2 have the volumes of a list without it",
            advice: "Set next_token whenever there are more entries; max_entries is the size of a page, not an index.",
            effect: "None by default: no max_entries is sent. Do not set --list-max-entries.",
            skipReason: "fewer than two volumes are listed, or a list is incomplete",
            sides: [.controller]
        ),
        .newToken: Definition(
            severity: .error,
            section: "ListVolumes, ControllerListVolumeHealth",
            title: "A list has no next_token twice",
            advice: "Return another token on each page, and none on the last one.",
            effect: "The list fails: unhealthy volumes on its pages are reported, recoveries and missing volumes are "
                + "not.",
            skipReason: "the driver lists no volume health",
            sides: [.controller]
        ),
        .listEnds: Definition(
            severity: .error,
            section: "ListVolumes, ControllerListVolumeHealth",
            title: "A list ends",
            advice: "Return an empty next_token on the last page.",
            effect: "The list fails after 100,000 pages: unhealthy volumes on its pages are reported, recoveries and "
                + "missing volumes are not.",
            skipReason: "the driver lists no volume health",
            sides: [.controller]
        ),
        .invalidToken: Definition(
            severity: .error,
            section: "ListVolumes, ControllerListVolumeHealth",
            title: "An invalid starting_token is ABORTED",
            advice: "Validate the token, and return ABORTED: the list then starts over.",
            effect: "A list may continue at the wrong place after the driver has restarted.",
            skipReason: "the driver lists no volume health",
            sides: [.controller]
        ),
        .entryID: Definition(
            severity: .error,
            section: "ListVolumes, ControllerListVolumeHealth",
            title: "Every entry has a volume_id",
            advice: "Set volume_id.",
            effect: "The entry is skipped.",
            skipReason: "no volume is listed",
            sides: [.controller]
        ),
        .listedOnce: Definition(
            severity: .warning,
            section: "ListVolumes, ControllerListVolumeHealth",
            title: "A list has no volume twice",
            advice: "Return each volume once, with all its problems in one entry.",
            effect: "The conditions of all entries of the volume are merged.",
            skipReason: "no volume is listed",
            sides: [.controller]
        ),
        .entryCondition: Definition(
            severity: .error,
            section: "ListVolumes",
            title: "Every entry has a volume_condition",
            advice: "Set status.volume_condition of every entry, as VOLUME_CONDITION requires.",
            effect: "The volume is probed by ControllerGetVolume, if the driver has it; otherwise its health is "
                + "unknown.",
            skipReason: "no volume is listed by ListVolumes",
            sides: [.controller]
        ),
        .stableOrder: Definition(
            severity: .warning,
            section: "ListVolumes, ControllerListVolumeHealth",
            title: "Two responses have their entries in the same order",
            advice: "Sort volumes and entries: a list in pages must not depend on the order of a hash table.",
            effect: "None: conditions are sorted.",
            skipReason: "fewer than two volumes or entries were seen twice"
        ),
    ]
}
