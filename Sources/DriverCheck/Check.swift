// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The checks, by their ids.
package enum Check: String, Sendable, Hashable, CaseIterable {
    // Identity and capabilities.
    case pluginName = "H001"
    case vendorVersion = "H002"
    case listNeedsGet = "H010"
    case conditionNeedsCall = "H011"
    case oneGeneration = "H012"
    case implemented = "H013"
    // All calls.
    case decodable = "H020"
    case successful = "H021"
    case inTime = "H022"
    case parallel = "H023"
    case latency = "H024"
    // Lists.
    case maxEntries = "H030"
    case sameVolumes = "H031"
    case newToken = "H032"
    case listEnds = "H033"
    case invalidToken = "H034"
    case entryID = "H035"
    case listedOnce = "H036"
    case entryCondition = "H037"
    case stableOrder = "H038"
    // Calls for single volumes.
    case requestedID = "H040"
    case requiredHealth = "H041"
    case unknownID = "H042"
    case emptyID = "H043"
    case agreesWithList = "H044"
    // What is reported.
    case statusSet = "H050"
    case knownStatus = "H051"
    case reasonSet = "H052"
    case camelCase = "H053"
    case reasonSize = "H054"
    case uniquePairs = "H055"
    case messageSize = "H056"
    case abnormalMessage = "H057"
    case stableMessage = "H058"
    // The node service.
    case emptyPath = "H060"
    case unknownPath = "H061"
    case optionalPaths = "H062"
    case storageHealth = "H063"
    // The volume of --create-volume.
    case created = "H070"
    case createdFound = "H071"
    case deleted = "H072"
    case deletedGone = "H073"

    package enum Severity: String, Sendable, Hashable, CaseIterable {
        /// The specification requires it: MUST, SHALL, REQUIRED.
        case error
        /// The specification recommends it, or Kubernetes or its monitors depend on it.
        case warning
        /// Worth knowing.
        case info
    }

    /// A side of a driver: its controller plugin or its node plugin.
    package enum Side: String, Sendable, Hashable, CaseIterable {
        case controller
        case node
    }

    package struct Definition: Sendable {
        package var severity: Severity
        /// Headings of the CSI specification.
        package var section: String
        /// What must hold.
        package var title: String
        /// What the driver's author should do.
        package var advice: String
        /// What csi-health-monitor does with a driver that deviates.
        package var effect: String
        /// Why the check was skipped, unless a check gives another reason.
        package var skipReason: String
        package var sides: Set<Side> = [.controller, .node]

        var hasEffect: Bool { !effect.hasPrefix("None") }
    }

    package var definition: Definition { Self.definitions[self] ?? Self.undefined }

    /// The checks of a side, in the order of their ids.
    package static func all(of side: Side) -> [Check] { allCases.filter { $0.definition.sides.contains(side) } }

    private static let undefined = Definition(
        severity: .info,
        section: "",
        title: "",
        advice: "",
        effect: "",
        skipReason: ""
    )

    /// A test checks that every check has one.
    static let definitions = identityDefinitions.merging(listDefinitions) { $1 }.merging(volumeDefinitions) { $1 }
        .merging(sideDefinitions) { $1 }
}
