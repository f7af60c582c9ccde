// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
package import DriverCheck

/// The flags of `check`. A boolean flag is also listed in ``booleans``.
package struct CheckFlags: ParsableArguments {
    package enum Output: String, Sendable, CaseIterable {
        case text
        case json
        case junit
    }

    @Option("Path of the CSI driver's socket, or unix:// and the path.", valueName: "address")
    var csiAddress = "/run/csi/socket"

    @Option("Plugin behind the socket: controller or node.")
    var side = Check.Side.controller

    @Option("Timeout of each call to the CSI driver.")
    var timeout = GoDuration.seconds(15)

    @Option(
        help: ArgumentHelp(
            "Volume to call the driver for, besides those it lists. May be repeated. Required for calls for a volume if "
                + "the driver does not list volumes, and with --side=node.",
            valueName: "id"
        )
    )
    var volumeID: [String] = []

    @Option(
        "With --side=node: where the volumes of --volume-id are published, as the driver sees it.",
        valueName: "path"
    )
    var volumePath = ""

    @Option("With --side=node: where they are staged, as the driver sees it.", valueName: "path")
    var stagingPath = ""

    @Option("Create a volume of 1Gi, use it, and delete it, also when interrupted.")
    var createVolume = false

    @Option(
        help: ArgumentHelp(
            "With --create-volume: a parameter of the volume, as its StorageClass has. May be repeated.",
            valueName: "key=value"
        )
    )
    var parameter: [String] = []

    @Option("Output format: text, json or junit.")
    package var output = Output.text

    package static let booleans: Set = ["create-volume"]

    package init() {}

    /// - Throws: `UsageError` for invalid values, or values that exclude each other.
    package func options() throws(UsageError) -> CheckOptions {
        try FileCheck.checkSocketAddress(csiAddress)
        guard timeout.duration > .zero else {
            throw UsageError(message: "--timeout must be greater than zero, such as 15s")
        }
        guard !volumeID.contains("") else {
            throw UsageError(message: "--volume-id is empty: write the id of a volume")
        }
        if side == .node, createVolume {
            throw UsageError(message: "--create-volume requires --side=controller: node plugins do not create volumes")
        }
        for (name, path) in [("volume-path", volumePath), ("staging-path", stagingPath)] where !path.isEmpty {
            guard side == .node else { throw UsageError(message: "--\(name) requires --side=node") }
            guard path.hasPrefix("/") else { throw UsageError(message: "--\(name) must be an absolute path") }
            guard volumeID.count == 1 else { throw UsageError(message: "--\(name) requires one --volume-id") }
        }
        guard createVolume || parameter.isEmpty else {
            throw UsageError(message: "--parameter requires --create-volume")
        }
        var options = CheckOptions(address: csiAddress, side: side, timeout: timeout.duration)
        options.volumeIDs = volumeID
        options.volumePath = volumePath
        options.stagingPath = stagingPath
        options.createsVolume = createVolume
        for text in parameter {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw UsageError(message: "--parameter: write key=value")
            }
            options.parameters[String(parts[0])] = String(parts[1])
        }
        return options
    }
}

extension CheckFlags.Output: FlagValue {
    static let valueName = "format"
}

extension Check.Side: FlagValue {
    static let valueName = "side"
}
