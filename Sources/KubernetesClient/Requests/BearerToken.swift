// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// The bearer token of requests, read again from its file. ``ExecAuthenticator`` does this for a credential plugin.
final class BearerToken: Sendable {
    /// The file is read again when its content is older than this. The kubelet replaces a token long before it expires.
    static let maximumAge = Duration.seconds(60)
    /// The minimum time between two reads after rejected tokens, however many requests were rejected.
    static let minimumAge = Duration.seconds(1)

    private struct Reading {
        var token: String
        var readAt: Duration
        var rejectedAt: Duration?
    }

    private let credentials: KubernetesConfiguration.Credentials
    /// The file is read under this lock, so that concurrent requests read it once. No other lock is taken.
    private let reading = Mutex<Reading?>(nil)

    init(_ credentials: KubernetesConfiguration.Credentials) {
        self.credentials = credentials
    }

    /// The token to send, if any. If the file has become unreadable, the last token stays in use.
    ///
    /// - Parameter now: the time since any fixed moment of a monotonic clock.
    /// - Throws: if no token was read yet, and the file cannot be read or holds no valid token.
    func current(now: Duration) throws(KubernetesConfigurationError) -> String? {
        switch credentials {
        case .none, .exec: return nil
        case .token(let token): return token
        case .tokenFile(let path):
            return try reading.withLock { reading throws(KubernetesConfigurationError) in
                if let last = reading, now - last.readAt < Self.maximumAge { return last.token }
                do throws(KubernetesConfigurationError) {
                    reading = Reading(token: try bearerToken(inFile: path), readAt: now)
                } catch {
                    guard reading != nil else { throw error }
                    reading?.readAt = now
                }
                return reading?.token
            }
        }
    }

    /// The token to use after the server has rejected `token`; nil if there is no other.
    func replacement(for token: String?, now: Duration) -> String? {
        guard let token, case .tokenFile(let path) = credentials else { return nil }
        return reading.withLock { reading in
            guard let last = reading else { return nil }
            if last.token != token { return last.token }
            if let rejectedAt = last.rejectedAt, now - rejectedAt < Self.minimumAge { return nil }
            reading?.rejectedAt = now
            guard let fresh = try? bearerToken(inFile: path), fresh != token else { return nil }
            reading = Reading(token: fresh, readAt: now)
            return fresh
        }
    }
}
