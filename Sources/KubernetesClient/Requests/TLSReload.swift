// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport

/// When the files of certificates and keys are read, and what becomes of what was read. A value: the caller reads.
///
/// client-go reads client certificates again every 5 minutes and with every connection
/// ([transport/cert_rotation.go](https://github.com/kubernetes/client-go/blob/master/transport/cert_rotation.go)), and
/// authorities every 5 minutes
/// ([transport/ca_rotation.go](https://github.com/kubernetes/client-go/blob/master/transport/ca_rotation.go), 1.36); what
/// cannot be read or used leaves the last ones in use. Here the times are those of a token file.
struct TLSReload: Sendable {
    enum Outcome: Equatable {
        case unchanged
        /// New connections are to be made with the configuration.
        case changed
        /// The last configuration stays in use. `isNew`: the reading before was usable.
        case failed(isNew: Bool)
    }

    /// What to make connections with.
    private(set) var configuration: TLSConfiguration
    /// How often the configuration has changed.
    private(set) var generation = 0
    private var readAt: Duration
    private var refusedAt: Duration?
    private var isFailing = false

    /// - Parameter now: when the configuration was read.
    init(_ configuration: TLSConfiguration, now: Duration) {
        self.configuration = configuration
        readAt = now
    }

    /// Whether the files are to be read before the next request.
    func isDue(now: Duration) -> Bool {
        now - readAt >= BearerToken.maximumAge
    }

    /// A connection or a request was refused. Returns whether the files are to be read: however many are refused, only
    /// once in a while.
    mutating func refused(now: Duration) -> Bool {
        if let refusedAt, now - refusedAt < BearerToken.minimumAge { return false }
        refusedAt = now
        return true
    }

    /// Another client certificate is to be used, which comes from no file. Returns whether it is another one.
    mutating func use(_ certificate: TLSConfiguration.ClientCertificate?) -> Bool {
        guard configuration.clientCertificate != certificate else { return false }
        configuration.clientCertificate = certificate
        generation += 1
        return true
    }

    /// The files were read.
    ///
    /// - Parameter reading: nil where they cannot be read or used.
    mutating func read(_ reading: TLSConfiguration?, now: Duration) -> Outcome {
        readAt = now
        guard let reading else {
            defer { isFailing = true }
            return .failed(isNew: !isFailing)
        }
        isFailing = false
        guard reading != configuration else { return .unchanged }
        configuration = reading
        generation += 1
        return .changed
    }
}
