// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import ProtobufWire

/// A problem of the way from a node to a driver's storage, as NodeGetStorageHealth reports it (CSI 1.13 and later): a
/// `StorageBackendHealth`.
package struct DriverStorageHealth: Sendable, Hashable {
    /// A `StorageHealthErrorType`.
    package enum Status: Sendable, Hashable {
        /// STORAGE_DEGRADED: usable, with reduced performance or redundancy.
        case degraded
        /// STORAGE_UNREACHABLE: the node cannot use the storage.
        case unreachable
        /// Any other number, also UNKNOWN_STORAGE_HEALTH_ERROR_TYPE (0). It does not mean healthy.
        case unknown(Int)
    }

    package var status: Status
    /// Machine-readable; may be empty.
    package var reason: String
    /// Human-readable.
    package var message: String
}

// MARK: Decoding

extension DriverStorageHealth {
    /// The most problems that are kept; each may become a series of a metric.
    static let maximumCount = 100

    /// Decodes a reply to NodeGetStorageHealth. `volume_capability` is not read: of entries that differ in nothing but
    /// it or the message, the first is kept.
    ///
    /// - Returns: the first ``maximumCount`` problems, unique by status and reason, in the driver's order, and whether
    ///   there were more; none for healthy storage.
    /// - Throws: when the bytes are malformed.
    package static func decode(
        reply: [UInt8]
    ) throws(CSIError) -> (problems: [DriverStorageHealth], isTruncated: Bool) {
        try decoding(reply, method: CSIMethodName.nodeGetStorageHealth) { bytes in
            var problems: [DriverStorageHealth] = []
            var isTruncated = false
            var seen: Set<DriverStorageHealth> = []
            var reader = WireReader()
            while let field = try reader.next(in: bytes) {
                guard field.number == 1 else { continue }
                guard let message = field.message else { throw UnexpectedWireType(number: 1) }
                let problem = try DriverStorageHealth(reading: bytes.extracting(message))
                var key = problem
                key.message = ""
                guard !seen.contains(key) else { continue }
                if problems.count < maximumCount {
                    seen.insert(key)
                    problems.append(problem)
                } else {
                    isTruncated = true
                }
            }
            return (problems, isTruncated)
        }
    }

    private init(reading bytes: Span<UInt8>) throws(WireFormatError) {
        self.init(status: .unknown(0), reason: "", message: "")
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: status = field.integer.map(Status.init(number:)) ?? status
            case 2: try field.read(&reason, in: bytes)
            case 3: try field.read(&message, in: bytes)
            default: break
            }
        }
    }
}

extension DriverStorageHealth.Status {
    /// By the numbers of `StorageHealthErrorType`.
    fileprivate init(number: UInt64) {
        switch Int32(truncatingIfNeeded: number) {
        case 1: self = .degraded
        case 2: self = .unreachable
        // An enumeration has 32 bits; protobuf ignores the others.
        case let other: self = .unknown(Int(other))
        }
    }
}
