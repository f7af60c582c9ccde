// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How a call ended: a code and, unless it is OK, a message.
///
/// Source: gRPC, "Status codes and their use in gRPC".
package struct GRPCStatus: Sendable, Hashable {
    package struct Code: RawRepresentable, Sendable, Hashable {
        /// The number on the wire.
        package var rawValue: UInt32

        /// Unknown numbers are kept.
        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        package static let ok = Code(rawValue: 0)
        /// The caller has cancelled the call.
        package static let cancelled = Code(rawValue: 1)
        package static let unknown = Code(rawValue: 2)
        /// The request is invalid, whatever the state of the server.
        package static let invalidArgument = Code(rawValue: 3)
        package static let deadlineExceeded = Code(rawValue: 4)
        package static let notFound = Code(rawValue: 5)
        package static let alreadyExists = Code(rawValue: 6)
        package static let permissionDenied = Code(rawValue: 7)
        /// A quota is used up, or a message exceeds the size limit.
        package static let resourceExhausted = Code(rawValue: 8)
        /// The server is not in a state in which it can serve the call.
        package static let failedPrecondition = Code(rawValue: 9)
        /// The call conflicts with another one. In the CSI list RPCs: the starting token is invalid or has expired.
        package static let aborted = Code(rawValue: 10)
        package static let outOfRange = Code(rawValue: 11)
        /// The server does not have the method.
        package static let unimplemented = Code(rawValue: 12)
        /// An invariant of the server or of gRPC is broken.
        package static let `internal` = Code(rawValue: 13)
        /// The server cannot be reached at present.
        package static let unavailable = Code(rawValue: 14)
        /// Data is lost or corrupted, and cannot be recovered.
        package static let dataLoss = Code(rawValue: 15)
        package static let unauthenticated = Code(rawValue: 16)
    }

    package var code: Code
    /// The server's message, or gRPC core's.
    package var message: String

    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }
}

extension GRPCStatus.Code: CustomStringConvertible {
    /// The name that grpc-go prints, which metrics have as a label: `DeadlineExceeded`.
    package var description: String {
        let names = [
            "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
            "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
            "Internal", "Unavailable", "DataLoss", "Unauthenticated",
        ]
        return rawValue < names.count ? names[Int(rawValue)] : "Code(\(rawValue))"
    }

    /// Whether gRPC defines the code. A client treats another one as UNKNOWN (gRPC, "Status codes and their use").
    package var isDefined: Bool { rawValue <= Self.unauthenticated.rawValue }

    /// ``description`` with `Unknown` for the codes that gRPC does not define, so that a server cannot add series to a
    /// metric.
    package var shortDescription: String { isDefined ? description : Self.unknown.description }
}

/// A call that did not end with OK.
package struct GRPCError: Error, Sendable, Hashable, CustomStringConvertible {
    package var status: GRPCStatus

    package init(_ status: GRPCStatus) {
        self.status = status
    }

    package init(code: GRPCStatus.Code, message: String) {
        self.init(GRPCStatus(code: code, message: message))
    }

    package var description: String { "\(status.code): \(status.message)" }
}
