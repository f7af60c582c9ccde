// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How a call ended: a code and, unless it is OK, a sentence.
///
/// Source: gRPC, "Status codes and their use in gRPC".
package struct GRPCStatus: Sendable, Hashable {
    /// What kind of end it was.
    package struct Code: RawRepresentable, Sendable, Hashable {
        /// The number on the wire.
        package var rawValue: UInt32

        /// Any number; unknown ones are kept.
        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Success.
        package static let ok = Code(rawValue: 0)
        /// The caller gave up.
        package static let cancelled = Code(rawValue: 1)
        /// An error that says nothing of its kind.
        package static let unknown = Code(rawValue: 2)
        /// The request is wrong, whatever the state of the server.
        package static let invalidArgument = Code(rawValue: 3)
        /// The time was over before the answer was there.
        package static let deadlineExceeded = Code(rawValue: 4)
        /// What was asked for does not exist.
        package static let notFound = Code(rawValue: 5)
        /// What was to be created exists.
        package static let alreadyExists = Code(rawValue: 6)
        /// The caller may not.
        package static let permissionDenied = Code(rawValue: 7)
        /// Out of something; a message above the size limit, too.
        package static let resourceExhausted = Code(rawValue: 8)
        /// Not in this state of the server.
        package static let failedPrecondition = Code(rawValue: 9)
        /// Broken off by a conflict; for CSI lists: the token has expired.
        package static let aborted = Code(rawValue: 10)
        /// Past the valid range.
        package static let outOfRange = Code(rawValue: 11)
        /// The server has no such method.
        package static let unimplemented = Code(rawValue: 12)
        /// Something that must hold does not.
        package static let `internal` = Code(rawValue: 13)
        /// The server cannot be reached, now.
        package static let unavailable = Code(rawValue: 14)
        /// Data is lost for good.
        package static let dataLoss = Code(rawValue: 15)
        /// The caller is nobody.
        package static let unauthenticated = Code(rawValue: 16)
    }

    /// What kind of end it was.
    package var code: Code
    /// The server's sentence, or gRPC's own.
    package var message: String

    /// An end.
    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }
}

extension GRPCStatus.Code: CustomStringConvertible {
    /// The name as Go's gRPC prints it, which metrics use as a label: `DeadlineExceeded`.
    package var description: String {
        let names = [
            "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
            "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
            "Internal", "Unavailable", "DataLoss", "Unauthenticated",
        ]
        return rawValue < names.count ? names[Int(rawValue)] : "Code(\(rawValue))"
    }

    /// ``description`` for a metric's label: a code that gRPC does not define is `Unknown`, so that a server cannot make more
    /// series than there are codes (gRPC, "Status codes and their use": clients treat it as UNKNOWN).
    package var shortDescription: String {
        rawValue <= Self.unauthenticated.rawValue ? description : Self.unknown.description
    }
}

/// A call that did not end with OK.
package struct GRPCError: Error, Sendable, Hashable, CustomStringConvertible {
    /// How it ended.
    package var status: GRPCStatus

    /// An error with this status.
    package init(_ status: GRPCStatus) {
        self.status = status
    }

    /// An error with this code and message.
    package init(code: GRPCStatus.Code, message: String) {
        self.init(GRPCStatus(code: code, message: message))
    }

    /// Code and message.
    package var description: String { "\(status.code): \(status.message)" }
}
