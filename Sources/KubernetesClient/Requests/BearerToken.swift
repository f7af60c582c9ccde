// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// The bearer token that requests carry, fresh from its file. ``ExecCredentials`` has those of a plugin.
final class BearerToken: Sendable {
    /// How old what was read may be. The kubelet replaces a token long before it expires.
    static let maximumAge = Duration.seconds(60)
    /// How often a refused token makes us look at the file, however many requests it was refused for.
    static let minimumAge = Duration.seconds(1)

    private struct Reading {
        var token: String
        var readAt: Duration
        var refusedAt: Duration?
    }

    private let credentials: KubernetesConfiguration.Credentials
    private let reading = Mutex<Reading?>(nil)

    init(_ credentials: KubernetesConfiguration.Credentials) {
        self.credentials = credentials
    }

    /// The token to send; nil sends none. A file that has become unreadable leaves the last token in use.
    ///
    /// - Parameter now: on any clock that does not go back; the same in every call.
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

    /// The server has refused `token`: is there another one?
    func replacement(for token: String?, now: Duration) -> String? {
        guard let token, case .tokenFile(let path) = credentials else { return nil }
        return reading.withLock { reading in
            guard let last = reading else { return nil }
            if last.token != token { return last.token }
            if let refusedAt = last.refusedAt, now - refusedAt < Self.minimumAge { return nil }
            reading?.refusedAt = now
            guard let fresh = try? bearerToken(inFile: path), fresh != token else { return nil }
            reading = Reading(token: fresh, readAt: now)
            return fresh
        }
    }
}
