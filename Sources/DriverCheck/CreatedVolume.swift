// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import Synchronization

/// The volume that a check creates, and what is known of it.
final class CreatedVolume: Sendable {
    private enum State {
        case none
        /// CreateVolume was called, and may have created it.
        case requested
        case exists(String)
    }

    static let deletionAttempts = 5

    private let name: String
    private let state = Mutex(State.none)

    init(name: String) {
        self.name = name
    }

    func create(_ calls: DriverCalls, parameters: [String: String]) async -> Exchange<String> {
        state.withLock { $0 = .requested }
        let creation = await calls.createVolume(name: name, parameters: parameters)
        if let id = creation.reply, !id.isEmpty {
            state.withLock { $0 = .exists(id) }
        } else if creation.isRefusedCreation {
            state.withLock { $0 = .none }
        }
        return creation
    }

    /// nil if no volume exists.
    func delete(_ calls: DriverCalls) async -> Exchange<Bool>? {
        guard case .exists(let id) = state.withLock({ $0 }) else { return nil }
        let deletion = await calls.deleteVolume(id: id)
        if deletion.reply != nil { state.withLock { $0 = .none } }
        return deletion
    }

    /// Deletes what may exist, in up to ``deletionAttempts`` attempts: after an interruption the driver may still be
    /// serving a call for the volume, and return ABORTED.
    ///
    /// If it is not known whether the volume was created, it is created again, which is idempotent, and then deleted
    /// (CSI specification, RPC Interactions: CreateVolume, DeleteVolume, ListVolumes).
    ///
    /// - Parameter delay: the pause after the first attempt; it doubles with each.
    /// - Returns: why it may still exist; nil if it does not.
    func remove(_ calls: DriverCalls, parameters: [String: String], delay: Duration) async -> String? {
        var failure = ""
        var pause = delay
        for attempt in 1...Self.deletionAttempts {
            switch state.withLock({ $0 }) {
            case .none: return nil
            case .requested:
                let creation = await create(calls, parameters: parameters)
                failure = creation.received
            case .exists: break
            }
            if let deletion = await delete(calls) {
                guard deletion.reply == nil else { return nil }
                failure = deletion.received
            }
            guard attempt < Self.deletionAttempts else { break }
            // Returns early on cancellation: the attempts that follow then fail at once.
            try? await ContinuousClock().sleep(for: pause)
            pause *= 2
        }
        switch state.withLock({ $0 }) {
        case .none: return nil
        case .requested: return "the volume named \(name) may exist, delete it by hand: \(failure)"
        case .exists(let id):
            return "the volume \(excerpt(id)) named \(name) was not deleted, delete it by hand: \(failure)"
        }
    }
}

extension Exchange<String> {
    /// Whether CreateVolume failed with a status that the specification has for requests that a driver does not
    /// support, such as missing parameters. No volume exists then.
    var isRefusedCreation: Bool {
        switch failure?.code {
        case .invalidArgument, .notFound, .permissionDenied, .resourceExhausted, .failedPrecondition, .outOfRange,
            .unimplemented, .unauthenticated:
            true
        default: false
        }
    }
}
