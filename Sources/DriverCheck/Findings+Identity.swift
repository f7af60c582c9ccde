// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

extension Findings {
    /// The results of a side's checks on all recorded calls.
    static func results(of recording: DriverRecording, side: Check.Side) -> [CheckResult] {
        var findings = Findings()
        findings.examineIdentity(recording)
        findings.examineCapabilities(recording, side: side)
        for service in recording.services { findings.examine(service, side: side) }
        findings.examineStorageHealth(recording.storageHealth)
        if let created = recording.created { findings.examine(created) }
        if recording.lacksCreation {
            for check in [Check.created, .createdFound, .deleted, .deletedGone] {
                findings.skip(check, "the driver does not announce CREATE_DELETE_VOLUME")
            }
        }
        findings.measureLatency(recording)
        return findings.results(of: Check.all(of: side))
    }

    private mutating func examineIdentity(_ recording: DriverRecording) {
        examineCall(recording.info)
        guard let info = recording.info.reply else { return }
        examine(.pluginName, recording.info, Self.problem(ofName: info.name))
        let isMissing = info.vendorVersion.isEmpty
        examine(.vendorVersion, recording.info, isMissing ? "vendor_version is empty" : nil)
    }

    /// nil for a domain name (RFC 1035, section 2.3.1, with labels that may begin with a digit).
    static func problem(ofName name: String) -> String? {
        if name.isEmpty { return "the name is empty" }
        if name.utf8.count > 63 { return "the name has \(name.utf8.count) characters" }
        for label in name.split(separator: ".", omittingEmptySubsequences: false) {
            if label.isEmpty { return "the name \(excerpt(name)) has an empty label" }
            if label.hasPrefix("-") || label.hasSuffix("-") {
                return "a label of the name \(excerpt(name)) begins or ends with a dash"
            }
            if let other = label.unicodeScalars.first(where: { $0 != "-" && !$0.isASCIILetter && !$0.isASCIIDigit }) {
                return "the name has the character \(excerpt(String(other)))"
            }
        }
        return nil
    }

    private mutating func examineCapabilities(_ recording: DriverRecording, side: Check.Side) {
        guard let numbers = recording.capabilities.reply else { return }
        let capabilities = Capabilities(numbers, side: side)
        let exchange = recording.capabilities
        let isBoth = Generation.allCases.allSatisfy { capabilities.announces($0) }
        examine(.oneGeneration, exchange, isBoth ? "it announces both generations" : nil)
        guard side == .controller else { return }
        examine(
            .listNeedsGet,
            exchange,
            capabilities.lists(.health) && !capabilities.gets(.health)
                ? "it announces LIST_VOLUME_HEALTH without GET_VOLUME_HEALTH" : nil
        )
        examine(
            .conditionNeedsCall,
            exchange,
            capabilities.announces(.legacy) && !capabilities.lists(.legacy) && !capabilities.gets(.legacy)
                ? "it announces VOLUME_CONDITION without LIST_VOLUMES and GET_VOLUME" : nil
        )
    }

    /// What must hold for a call with valid arguments.
    ///
    /// - Parameter allowed: statuses that are no failure.
    mutating func examineCall<Reply>(_ exchange: Exchange<Reply>, allowed: Set<GRPCStatus.Code> = []) {
        guard !exchange.isInconclusive else { return }
        var undecodable: String?
        var unimplemented: String?
        var late: String?
        var failed: String?
        switch exchange.outcome {
        case .reply: break
        case .undecodable(let text): undecodable = text
        case .failed(let status) where allowed.contains(status.code): break
        case .failed(let status):
            switch status.code {
            case .unimplemented: unimplemented = "\(exchange.method) is announced or required"
            case .deadlineExceeded: late = "no response within the timeout"
            default: failed = "\(status.code)"
            }
        }
        examine(.decodable, exchange, undecodable)
        examine(.implemented, exchange, unimplemented)
        examine(.inTime, exchange, late)
        examine(.successful, exchange, failed)
    }
}

extension Exchange {
    /// Whether the call shows nothing about the driver: it was cancelled, or lacks secrets.
    var isInconclusive: Bool { failure.map { $0.code == .cancelled || $0.code.isDenied } ?? false }
}

extension Unicode.Scalar {
    var isASCIILetter: Bool { ("a"..."z").contains(self) || ("A"..."Z").contains(self) }
    var isASCIIDigit: Bool { ("0"..."9").contains(self) }
}

/// The capabilities that decide which RPCs are called.
package struct Capabilities: Sendable, Hashable {
    /// By number in the specification.
    let numbers: Set<Int>
    let side: Check.Side

    package init(_ numbers: some Sequence<Int>, side: Check.Side) {
        self.numbers = Set(numbers)
        self.side = side
    }

    /// CREATE_DELETE_VOLUME.
    var createsVolumes: Bool { side == .controller && numbers.contains(1) }
    /// GET_STORAGE_HEALTH.
    var reportsStorageHealth: Bool { side == .node && numbers.contains(8) }

    /// Whether a capability of this generation is there.
    func announces(_ generation: Generation) -> Bool {
        switch (side, generation) {
        case (.controller, .legacy): numbers.contains(11)
        case (.controller, .health): !numbers.isDisjoint(with: [16, 17])
        case (.node, .legacy): numbers.contains(4)
        case (.node, .health): numbers.contains(7)
        }
    }

    /// LIST_VOLUMES with VOLUME_CONDITION, or LIST_VOLUME_HEALTH.
    func lists(_ generation: Generation) -> Bool {
        switch (side, generation) {
        case (.controller, .legacy): numbers.isSuperset(of: [3, 11])
        case (.controller, .health): numbers.contains(17)
        case (.node, _): false
        }
    }

    /// Whether a call for one volume reports health.
    func gets(_ generation: Generation) -> Bool {
        switch (side, generation) {
        case (.controller, .legacy): numbers.isSuperset(of: [11, 12])
        case (.controller, .health): numbers.contains(16)
        case (.node, _): announces(generation)
        }
    }

    /// The generations of which a RPC reports health.
    var usable: [Generation] { Generation.allCases.filter { lists($0) || gets($0) } }
}
