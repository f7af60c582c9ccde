// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// A way in which a CSI driver deviates from the specification, or makes a health monitor's work harder. Unlike a
/// ``DriverFault`` it is a property of the driver's code.
package enum DriverQuirk: String, CaseIterable, Sendable {
    // Lists.
    /// Every page of a list ends with the same token.
    case repeatedToken
    /// Every page ends with a new token, and the pages after the first ones are empty.
    case endlessPages
    /// A starting_token that is not valid begins the list anew.
    case acceptsInvalidToken
    /// A starting_token that is not valid is INVALID_ARGUMENT instead of ABORTED.
    case refusesInvalidTokenOtherwise
    /// max_entries truncates the list, without a next_token: csi-driver-host-path.
    case truncatesAtMaxEntries
    /// A page has more than max_entries entries.
    case ignoresMaxEntries
    /// The first entry of a list has no volume_id.
    case entryWithoutID
    /// The first volume is listed twice.
    case listsVolumeTwice
    /// The first entry of a list has no condition.
    case entryWithoutCondition
    /// Every other list is in the opposite order.
    case unstableOrder

    // Calls for one volume.
    /// The response is for another volume.
    case wrongID
    /// The response lacks the required condition or health.
    case missingHealth
    /// An unknown volume is healthy.
    case unknownVolumeIsHealthy
    /// An empty volume_id is NOT_FOUND.
    case emptyIDNotFound
    /// Volumes are healthy by single calls, whatever the list says.
    case getContradictsList
    /// A call for a single volume has no response.
    case hangsOnGet
    /// A call for a single volume is DEADLINE_EXCEEDED, without waiting for it.
    case timesOutOnGet
    /// A call for a single volume fails.
    case failsOnGet
    /// The RPC for a single volume is not implemented.
    case getUnimplemented
    /// The response is not a message of protobuf.
    case undecodable
    /// Calls for single volumes fail while another one is being served.
    case notConcurrent

    // What is reported for every volume.
    case noStatus
    case unknownStatus
    case noReason
    case lowercaseReason
    case longReason
    case duplicatePairs
    case longMessage
    /// An abnormal condition without a message.
    case abnormalWithoutMessage
    /// The message of each response has another number.
    case unstableMessage

    /// The entries of every other response are in the opposite order.
    case unstableEntryOrder

    // The node service.
    /// NodeGetVolumeStats without a path is OK.
    case acceptsEmptyPath
    /// NodeGetVolumeStats for a path that does not exist is OK, and the volume healthy.
    case acceptsUnknownPath
    /// NodeGetVolumeHealth requires a path.
    case requiresPaths
    /// NodeGetStorageHealth reports a problem twice.
    case duplicateStorageProblems

    // The Controller service's volumes.
    case createFails
    case createWithoutID
    /// A created volume is in no list, and is not found.
    case createdIsUnknown
    case deleteFails
    /// The second DeleteVolume for a volume fails.
    case secondDeleteFails
    /// A deleted volume stays.
    case deletedStays
}

extension SimulatedDriver {
    /// Makes the driver deviate in one way, by its interceptor.
    package func deviate(_ quirk: DriverQuirk) {
        let state = QuirkState()
        intercept { [weak self] call in
            guard let self else { return nil }
            return await quirk.response(to: call, of: self, state)
        }
    }
}

/// What a quirk remembers from call to call.
final class QuirkState: Sendable {
    private struct State {
        var calls = 0
        var lists = 0
        var callsByVolume: [String: Int] = [:]
        var inFlight = 0
        var deleted: Set<String> = []
    }

    private let state = Mutex(State())

    /// A unique number of a call.
    func nextCall() -> Int {
        state.withLock { state in
            state.calls += 1
            return state.calls
        }
    }

    /// The number of a call among those for a volume.
    func nextCall(for id: String) -> Int {
        state.withLock { state in
            state.callsByVolume[id, default: 0] += 1
            return state.callsByVolume[id, default: 0]
        }
    }

    /// The number of a list.
    func nextList() -> Int {
        state.withLock { state in
            state.lists += 1
            return state.lists
        }
    }

    /// Returns whether another call is being served.
    func enter() -> Bool {
        state.withLock { state in
            state.inFlight += 1
            return state.inFlight > 1
        }
    }

    func leave() {
        state.withLock { $0.inFlight -= 1 }
    }

    /// Returns whether the volume was deleted before.
    func delete(_ id: String) -> Bool {
        state.withLock { !$0.deleted.insert(id).inserted }
    }
}
