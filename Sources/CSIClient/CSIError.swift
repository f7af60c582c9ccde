// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import GRPCTransport

/// A call that brought no usable answer. It says nothing of any volume's health.
package struct CSIError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: Hashable {
            case status(GRPCStatus.Code)
            case invalidResponse
        }

        private let kind: Kind

        /// The driver, or gRPC on its behalf, answered with this status.
        package static func status(_ code: GRPCStatus.Code) -> Code { Code(kind: .status(code)) }
        /// The driver answered OK with something that the specification does not allow.
        package static let invalidResponse = Code(kind: .invalidResponse)

        /// A word for logs.
        package var description: String {
            switch kind {
            case .status(let code): code.description
            case .invalidResponse: "InvalidResponse"
            }
        }
    }

    /// What kind of failure it is.
    package var code: Code
    /// The call, as `/csi.v1.Controller/ListVolumes`.
    package var method: String
    /// What happened, in the driver's words where it gave any.
    package var message: String

    /// Method, kind and message.
    package var description: String { "\(method): \(code): \(message)" }

    /// The driver does not know the volume: NOT_FOUND.
    package var isNotFound: Bool { code == .status(.notFound) }

    /// The driver cannot be reached or is not ready: UNAVAILABLE. It may be another version when it is back.
    package var isUnavailable: Bool { code == .status(.unavailable) }

    /// What a driver answers, or does not, that has too much to do: DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE.
    package var isOverload: Bool {
        [.status(.deadlineExceeded), .status(.resourceExhausted), .status(.unavailable)].contains(code)
    }
}

/// How a usable reply differs from what the specification requires.
package struct ReplyDeviation: Sendable, Hashable {
    /// A label of a metric.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        /// A reply to ControllerGetVolume without `volume`.
        case volumeMissing = "volume_missing"
        /// A `volume` without `volume_id`.
        case volumeIDMissing = "volume_id_missing"
        /// A `volume_id` other than the one that was asked for.
        case volumeIDDiffers = "volume_id_differs"
    }

    /// What differs.
    package var kind: Kind
    /// The `volume_id` of the reply, cut after 256 characters; empty where it has none.
    package var example: String
}

extension CSIError {
    init(_ error: GRPCError, method: String) {
        self.init(code: .status(error.status.code), method: method, message: error.status.message)
    }

    /// A field is not there that the specification requires.
    static func missing(_ field: String, method: String) -> CSIError {
        CSIError(
            code: .invalidResponse,
            method: method,
            message: "the driver's answer has no \(field), which the CSI specification requires"
        )
    }
}
