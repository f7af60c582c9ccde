// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import GRPCTransport

/// A call failed or had no usable response. It does not say anything about a volume's health.
package struct CSIError: Error, Sendable, CustomStringConvertible {
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: Hashable {
            case status(GRPCStatus.Code)
            case invalidResponse
        }

        private let kind: Kind

        /// The status of the driver, or of gRPC.
        package static func status(_ code: GRPCStatus.Code) -> Code { Code(kind: .status(code)) }
        /// The status is OK, and the response violates the specification.
        package static let invalidResponse = Code(kind: .invalidResponse)

        /// For logs: `DeadlineExceeded`, `InvalidResponse`.
        package var description: String {
            switch kind {
            case .status(let code): code.description
            case .invalidResponse: "InvalidResponse"
            }
        }
    }

    package var code: Code
    /// `/csi.v1.Controller/ListVolumes`
    package var method: String
    /// The driver's message where it sent one, on one line, at most 4 KiB.
    package var message: String

    package var description: String { "\(method): \(code): \(message)" }

    /// The volume does not exist: NOT_FOUND.
    package var isNotFound: Bool { code == .status(.notFound) }

    /// The driver cannot be reached or is not ready: UNAVAILABLE. It may return as another version.
    package var isUnavailable: Bool { code == .status(.unavailable) }

    /// The driver may be overloaded: DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE.
    package var isOverload: Bool {
        [.status(.deadlineExceeded), .status(.resourceExhausted), .status(.unavailable)].contains(code)
    }
}

extension CSIError {
    /// A code that gRPC does not define counts as Unknown, so that a driver cannot make up kinds of errors.
    init(_ error: GRPCError, method: String) {
        let code = error.status.code
        self.init(
            code: .status(code.isDefined ? code : .unknown),
            method: method,
            message: code.isDefined ? error.status.message : "\(code): \(error.status.message)"
        )
    }

    /// A required field is missing.
    static func missing(_ field: String, method: String) -> CSIError {
        CSIError(
            code: .invalidResponse,
            method: method,
            message: "the response has no \(field), which the CSI specification requires"
        )
    }
}
