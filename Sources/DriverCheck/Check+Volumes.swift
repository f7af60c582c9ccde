// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// Calls for single volumes, and what is reported.

extension Check {
    static let volumeDefinitions: [Check: Definition] = [
        .requestedID: Definition(
            severity: .error,
            section: "ControllerGetVolume, ControllerGetVolumeHealth, NodeGetVolumeStats, NodeGetVolumeHealth",
            title: "The response is for the requested volume",
            advice: "Return the volume_id of the request.",
            effect: "CSI 1.3 to 1.12: the response is taken for the requested volume. CSI 1.13: it is discarded.",
            skipReason: "no call was made for a volume: set --volume-id, with --side=node also --volume-path"
        ),
        .requiredHealth: Definition(
            severity: .error,
            section: "ControllerGetVolume, ControllerGetVolumeHealth, NodeGetVolumeStats, NodeGetVolumeHealth",
            title: "The response has the required condition or health",
            advice: "Set volume and volume_condition (VOLUME_CONDITION) or volume_health; an empty volume_health means "
                + "healthy.",
            effect: "The volume's health is unknown: a response without it clears no condition.",
            skipReason: "no call was made for a volume: set --volume-id, with --side=node also --volume-path"
        ),
        .unknownID: Definition(
            severity: .error,
            section: "ControllerGetVolume, ControllerGetVolumeHealth, NodeGetVolumeStats, NodeGetVolumeHealth",
            title: "An unknown volume_id is NOT_FOUND",
            advice: "Return NOT_FOUND for a volume that does not exist.",
            effect: "A deleted volume is not reported missing, but as the driver describes it: abnormal or healthy.",
            skipReason: "no call for health was made"
        ),
        .emptyID: Definition(
            severity: .error,
            section: "Error Scheme",
            title: "An empty volume_id is INVALID_ARGUMENT",
            advice: "Validate the required fields of the request.",
            effect: "None: no such call is made.",
            skipReason: "no call for health was made"
        ),
        .agreesWithList: Definition(
            severity: .warning,
            section: "ControllerGetVolume, ControllerGetVolumeHealth",
            title: "A call for one volume agrees with the list",
            advice: "Derive both responses from the same state.",
            effect: "The later response counts: the volume may be reported unhealthy and recovered in turn.",
            skipReason: "no volume is known both from a list and by a call",
            sides: [.controller]
        ),
        .statusSet: Definition(
            severity: .error,
            section: "ControllerGetVolumeHealth (VolumeHealthEntry)",
            title: "The status of an entry is set",
            advice: "Set DEGRADED, INACCESSIBLE or DATA_LOSS.",
            effect: "Reported as UnknownVolumeHealthCondition; it never counts as healthy.",
            skipReason: "the driver has no RPC of CSI 1.13 that reports health"
        ),
        .knownStatus: Definition(
            severity: .info,
            section: "ControllerGetVolumeHealth (VolumeHealthEntry)",
            title: "The status of an entry is known to this program",
            advice: "Nothing, if a later specification has it; report it beside an older status.",
            effect: "Reported as UnknownVolumeHealthCondition; it never counts as healthy.",
            skipReason: "the driver has no RPC of CSI 1.13 that reports health"
        ),
        .reasonSet: Definition(
            severity: .error,
            section: "ControllerGetVolumeHealth (VolumeHealthEntry)",
            title: "The reason of an entry is set",
            advice: "Set a brief reason such as DiskFailure.",
            effect: "Reported with the reason Unspecified.",
            skipReason: "the driver has no RPC of CSI 1.13 that reports health"
        ),
        .camelCase: Definition(
            severity: .warning,
            section: "ControllerGetVolumeHealth (VolumeHealthEntry)",
            title: "A reason is CamelCase",
            advice: "Write letters and digits only, beginning with an uppercase letter: DiskFailure.",
            effect: "None: reasons are reported as they are.",
            skipReason: "the driver has no RPC of CSI 1.13 that reports health"
        ),
        .reasonSize: Definition(
            severity: .warning,
            section: "ControllerGetVolumeHealth (VolumeHealthEntry)",
            title: "A reason has at most 256 bytes",
            advice: "Write a shorter reason: the API server refuses more than 256 bytes.",
            effect: "The reason is truncated.",
            skipReason: "the driver has no RPC of CSI 1.13 that reports health"
        ),
        .uniquePairs: Definition(
            severity: .error,
            section: "ControllerGetVolumeHealth (VolumeHealthEntry)",
            title: "The pairs of status and reason of a volume are unique",
            advice: "Merge entries with the same status and reason.",
            effect: "The entries are merged.",
            skipReason: "the driver has no RPC of CSI 1.13 that reports health"
        ),
        .messageSize: Definition(
            severity: .warning,
            section: "ControllerGetVolumeHealth (VolumeHealthEntry)",
            title: "A message has at most 1,024 bytes",
            advice: "Write a shorter message: the API server refuses more than 1,024 bytes.",
            effect: "The message is truncated.",
            skipReason: "no message was received"
        ),
        .abnormalMessage: Definition(
            severity: .error,
            section: "NodeGetVolumeStats (VolumeCondition)",
            title: "An abnormal condition has a message",
            advice: "Describe the problem: the message is all that users see.",
            effect: "Reported without an explanation.",
            skipReason: "the driver has no RPC that reports a VolumeCondition"
        ),
        .stableMessage: Definition(
            severity: .warning,
            section: "ControllerGetVolumeHealth (VolumeHealthEntry)",
            title: "A message is the same in two responses in a row",
            advice: "Leave out times and counters that change with each call.",
            effect: "A new message is reported at most once in ten minutes.",
            skipReason: "no unhealthy volume was seen twice"
        ),
    ]
}
