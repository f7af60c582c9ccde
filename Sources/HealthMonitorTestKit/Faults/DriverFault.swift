// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

/// A fault of a CSI driver. It lasts until it is ended.
package enum DriverFault: String, CaseIterable, Sendable {
    /// No call gets a response before its deadline.
    case slow
    /// Every call fails with UNAVAILABLE.
    case unavailable
    /// Every call to the controller or the node service fails with INTERNAL.
    case internalError = "internal"
    /// Every call to the controller or the node service fails with RESOURCE_EXHAUSTED.
    case resourceExhausted = "resource-exhausted"
    /// The process dies during a call for the second page of a list or for a single volume.
    case killedInPage = "killed-in-page"
    /// The driver restarts with the other generation of health RPCs: an upgrade, or a rollback.
    case otherGeneration = "other-generation"
    /// The socket's file is removed; at the end another process creates it again.
    case socketRemoved = "socket-removed"
    /// Responses about health are cut in the middle of the message.
    case halfReply = "half-reply"
    /// Responses about health are larger than 64 MiB.
    case oversizedReply = "oversized-reply"
    /// The fields of responses about health have other wire types than in the specification.
    case wrongWireTypes = "wrong-wire-types"
    /// Every page of a list ends with the same token.
    case repeatingToken = "repeating-token"
    /// A list has a second page, whose token has always expired: ABORTED.
    case expiredToken = "expired-token"
    /// A list has endless empty pages, each with a new token.
    case endlessList = "endless-list"
    /// Probe reports that the driver is not ready, and every other call fails with UNAVAILABLE.
    case notReady = "not-ready"
}

extension DriverFault {
    /// The response to a call; nil lets the driver respond.
    ///
    /// - Parameters:
    ///   - number: a unique number of the call.
    ///   - regular: the driver's own response.
    func response(to call: SimulatedCall, number: Int, regular: () -> SimulatedResponse) -> SimulatedResponse? {
        switch self {
        case .slow: return .never
        case .unavailable: return .fail(.unavailable, "backend away")
        case .internalError where call.isOfService: return .fail(.internal, "backend lost")
        case .resourceExhausted where call.isOfService: return .fail(.resourceExhausted, "too many requests")
        case .killedInPage where call.isList:
            return call.startingToken.isEmpty ? regular().adding(nextToken: "half") : .never
        case .killedInPage where call.reportsHealth: return .never
        case .halfReply where call.reportsHealth:
            guard case .reply(let bytes) = regular() else { return nil }
            return .reply(Array(bytes.prefix(max(bytes.count / 2, 1))))
        case .oversizedReply where call.reportsHealth:
            // With a field that no version of the specification has: valid, but above the limit.
            guard case .reply(let bytes) = regular() else { return nil }
            return .reply(bytes + Self.padding)
        case .wrongWireTypes where call.reportsHealth: return .reply(Self.varints)
        case .repeatingToken where call.isList: return regular().adding(nextToken: "again")
        case .expiredToken where call.isList:
            return call.startingToken.isEmpty
                ? regular().adding(nextToken: "old") : .fail(.aborted, "starting_token old has expired")
        case .endlessList where call.isList: return .volumes([], nextToken: "page-\(number)")
        case .notReady:
            // ready: BoolValue { value: false }
            return call.method.hasSuffix("/Probe") ? .reply([0x0A, 0]) : .fail(.unavailable, "not ready")
        default: return nil
        }
    }

    /// Field 1000, of 65 MiB.
    private static let padding: [UInt8] = {
        var field = WireWriter()
        field.bytes([UInt8](repeating: 0, count: 65 << 20), field: 1000)
        return field.bytes
    }()

    /// Fields 1 and 2 of every response are messages and strings; here they are numbers.
    private static let varints: [UInt8] = {
        var message = WireWriter()
        message.varint(7, field: 1)
        message.varint(7, field: 2)
        return message.bytes
    }()
}

extension SimulatedCall {
    /// Whether it lists volumes.
    var isList: Bool {
        method.hasSuffix("/ListVolumes") || method.hasSuffix("/ControllerListVolumeHealth")
    }
    /// Whether the response has the condition or health of volumes.
    package var reportsHealth: Bool {
        isList || method.hasSuffix("/ControllerGetVolume") || method.hasSuffix("/ControllerGetVolumeHealth")
            || method.hasSuffix("/NodeGetVolumeStats") || method.hasSuffix("/NodeGetVolumeHealth")
    }
}

extension SimulatedResponse {
    /// A list's page with another next_token: of a repeated field the last one counts.
    fileprivate func adding(nextToken: String) -> SimulatedResponse {
        guard case .reply(let bytes) = self else { return self }
        var end = WireWriter()
        end.bytes(nextToken.utf8, field: 2)
        return .reply(bytes + end.bytes)
    }
}
