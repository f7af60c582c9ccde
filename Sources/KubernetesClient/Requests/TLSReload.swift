// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport

/// Decides when to read the files of certificates and keys, and whether to use what was read. A value: the caller
/// reads.
///
/// client-go reads client certificates again every 5 minutes and with every connection
/// ([transport/cert_rotation.go](https://github.com/kubernetes/client-go/blob/master/transport/cert_rotation.go)), and
/// certificate authorities every 5 minutes
/// ([transport/ca_rotation.go](https://github.com/kubernetes/client-go/blob/master/transport/ca_rotation.go), 1.36).
/// Files that are unreadable or unusable leave the last ones in use. Here the times are those of a token file.
struct TLSReload: Sendable {
    enum Outcome: Equatable {
        case unchanged
        /// New connections must use the new configuration.
        case changed
        /// The last configuration stays in use. `isNew`: the read before succeeded.
        case failed(isNew: Bool)
    }

    private(set) var configuration: TLSConfiguration
    /// How often the configuration has changed.
    private(set) var generation = 0
    private var readAt: Duration
    private var rejectedAt: Duration?
    private var isFailing = false
    /// The last authorities that were incomplete, as in a file that is still being written, and when they were first
    /// read.
    private var incomplete: (authorities: [UInt8]?, readAt: Duration)?

    /// - Parameter now: when the configuration was read, since any fixed moment of a monotonic clock.
    init(_ configuration: TLSConfiguration, now: Duration) {
        self.configuration = configuration
        readAt = now
    }

    /// Whether to read the files before the next request.
    func isDue(now: Duration) -> Bool {
        now - readAt >= BearerToken.maximumAge
    }

    /// A connection or a request was rejected.
    ///
    /// - Returns: whether to read the files: at most once a second, however many are rejected.
    mutating func rejected(now: Duration) -> Bool {
        if let rejectedAt, now - rejectedAt < BearerToken.minimumAge { return false }
        rejectedAt = now
        return true
    }

    /// Uses a client certificate that does not come from a file.
    ///
    /// - Returns: whether it differs from the last one.
    mutating func use(_ certificate: TLSConfiguration.ClientCertificate?) -> Bool {
        guard configuration.clientCertificate != certificate else { return false }
        configuration.clientCertificate = certificate
        generation += 1
        return true
    }

    /// The files were read. Incomplete authorities count as unusable until they are unchanged for a minute: then the
    /// readable ones are used, as at the start.
    ///
    /// - Parameter reading: nil if they are unreadable or unusable.
    mutating func read(_ reading: TLSConfiguration?, now: Duration) -> Outcome {
        readAt = now
        guard let reading, isWritten(reading, now: now) else {
            defer { isFailing = true }
            return .failed(isNew: !isFailing)
        }
        isFailing = false
        guard reading != configuration else { return .unchanged }
        configuration = reading
        generation += 1
        return .changed
    }

    /// Whether the file of authorities is not still being written.
    private mutating func isWritten(_ reading: TLSConfiguration, now: Duration) -> Bool {
        let authorities = reading.certificateAuthorities
        if authorities == configuration.certificateAuthorities || reading.areAuthoritiesComplete {
            incomplete = nil
            return true
        }
        if let incomplete, incomplete.authorities == authorities {
            return now - incomplete.readAt >= BearerToken.maximumAge
        }
        incomplete = (authorities, now)
        return false
    }
}
