// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// Identity, capabilities, and what holds for every call.

extension Check {
    static let identityDefinitions: [Check: Definition] = [
        .pluginName: Definition(
            severity: .error,
            section: "GetPluginInfo",
            title: "The name is a domain name of at most 63 characters",
            advice: "Use a domain name such as block.csi.example.com: letters, digits and dashes between dots.",
            effect: "Kubernetes does not accept such a name in a PersistentVolume; no volume is found.",
            skipReason: "the driver has not returned its name"
        ),
        .vendorVersion: Definition(
            severity: .error,
            section: "GetPluginInfo",
            title: "The vendor_version is set",
            advice: "Return the version of the driver.",
            effect: "None.",
            skipReason: "the driver has not returned its version"
        ),
        .listNeedsGet: Definition(
            severity: .error,
            section: "ControllerGetCapabilities",
            title: "LIST_VOLUME_HEALTH comes with GET_VOLUME_HEALTH",
            advice: "Implement ControllerGetVolumeHealth and announce GET_VOLUME_HEALTH.",
            effect: "Volumes are listed; that a volume has recovered is confirmed by a second list instead of by a "
                + "call.",
            skipReason: "the capabilities are not known",
            sides: [.controller]
        ),
        .conditionNeedsCall: Definition(
            severity: .warning,
            section: "ControllerGetCapabilities",
            title: "VOLUME_CONDITION comes with LIST_VOLUMES or GET_VOLUME",
            advice: "Announce and implement LIST_VOLUMES or GET_VOLUME, or do not announce VOLUME_CONDITION.",
            effect: "No volume is monitored: no RPC has the condition.",
            skipReason: "the capabilities are not known",
            sides: [.controller]
        ),
        .oneGeneration: Definition(
            severity: .info,
            section: "ControllerGetCapabilities, NodeGetCapabilities",
            title: "The driver reports either VolumeCondition or VolumeHealth",
            advice: "None while the driver serves clusters of both generations; afterwards drop VOLUME_CONDITION, "
                + "which CSI 1.13 removed.",
            effect: "The RPCs of CSI 1.13 are called, the others are not.",
            skipReason: "the capabilities are not known"
        ),
        .implemented: Definition(
            severity: .error,
            section: "ControllerGetCapabilities, NodeGetCapabilities",
            title: "An announced RPC is implemented",
            advice: "Implement the RPC, or do not announce its capability.",
            effect: "The calls fail; no volume is reported by this RPC.",
            skipReason: "no call for health was made"
        ),
        .decodable: Definition(
            severity: .error,
            section: "RPC Interface",
            title: "Responses are the messages of the specification",
            advice: "Generate the code from the csi.proto of the specification.",
            effect: "The call counts as failed and changes no state.",
            skipReason: "no call for health was made"
        ),
        .successful: Definition(
            severity: .error,
            section: "Error Scheme",
            title: "Calls with valid arguments succeed",
            advice: "Look in the driver's log for the cause of the status.",
            effect: "The call counts as failed, changes no state, and is repeated.",
            skipReason: "no call for health was made"
        ),
        .inTime: Definition(
            severity: .warning,
            section: "Timeouts",
            title: "Every call has a response within --timeout",
            advice: "Find out what the driver waits for; return UNAVAILABLE or ABORTED instead of waiting.",
            effect: "The call counts as failed. The controller makes fewer calls at a time; the agent probes that "
                + "volume less often, and makes one call per interval when three volumes and no other had no response.",
            skipReason: "no call for health was made"
        ),
        .parallel: Definition(
            severity: .warning,
            section: "Concurrency",
            title: "Ten concurrent calls succeed like single calls",
            advice: "Make the handlers safe for concurrent calls; ABORTED is permitted for calls for the same volume.",
            effect: "Failed calls are repeated; --worker-threads=1 makes one call at a time.",
            skipReason: "no call for health was made"
        ),
        .latency: Definition(
            severity: .info,
            section: "Timeouts",
            title: "Latency of calls (measured)",
            advice: "Nothing: it is a measurement.",
            effect: "None.",
            skipReason: "no call for health was made"
        ),
    ]
}
