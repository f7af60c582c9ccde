// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

extension DriverRecording {
    /// Why the check is incomplete for a reason that is no deviation of the driver; nil if it is complete.
    ///
    /// - Parameter volumeIDs: those of --volume-id.
    func obstacle(volumeIDs: [String]) -> String? {
        if let call = (calls + [created?.creation.call].compactMap(\.self)).first(where: { $0.code?.isDenied == true })
        {
            return "\(call.sent): \(call.received): the driver may require secrets, which check does not send"
        }
        if let creation = created?.creation, creation.isRefusedCreation {
            return "no volume was created: \(creation.received): set --parameter as the driver's StorageClass has it"
        }
        for id in volumeIDs {
            if let call = services.missing(id) {
                return "--volume-id \(excerpt(id)) is not found: \(call.sent): \(call.received)"
            }
            if services.isUnlisted(id) { return "--volume-id \(excerpt(id)) is not listed by ListVolumes" }
        }
        if !calls.isEmpty, calls.allSatisfy({ $0.code == .deadlineExceeded }) {
            return "no call for health had a response within --timeout"
        }
        return nil
    }

    /// All calls for health.
    private var calls: [RecordedCall] {
        services.flatMap(\.calls) + [storageHealth?.call].compactMap(\.self)
    }
}

/// A call without its reply.
private struct RecordedCall {
    var sent: String
    var received: String
    /// nil for OK.
    var code: GRPCStatus.Code?
}

extension Exchange {
    fileprivate var call: RecordedCall { RecordedCall(sent: sent, received: received, code: failure?.code) }
}

extension ServiceRecording {
    fileprivate var calls: [RecordedCall] {
        let lists = (fullLists + pagedLists).flatMap(\.pages) + [invalidToken].compactMap(\.self)
        let others = [unknownID, emptyID, emptyPath, unknownPath, withoutPaths].compactMap(\.self)
        return lists.map(\.call) + ((gets + parallel.calls).flatMap(\.exchanges) + others).map(\.call)
    }
}

extension [ServiceRecording] {
    /// The last call for a volume, if all calls for it were NOT_FOUND, and no list has it.
    fileprivate func missing(_ id: String) -> RecordedCall? {
        let exchanges = flatMap(\.gets).filter { $0.id == id }.flatMap(\.exchanges)
        let isListed = contains { $0.fullLists.contains { $0.ids.contains(id) } }
        guard !isListed, exchanges.allSatisfy({ $0.hasFoundVolume == false }) else { return nil }
        return exchanges.last?.call
    }

    /// Whether no call was made for a volume, and no complete list of all volumes has it.
    fileprivate func isUnlisted(_ id: String) -> Bool {
        let lists = filter { $0.generation == .legacy }.flatMap(\.fullLists).filter(\.isComplete)
        let isCalled = contains { $0.gets.contains { $0.id == id } }
        return !isCalled && !lists.isEmpty && !lists.contains { $0.ids.contains(id) }
    }
}

extension Exchange<GetReply> {
    /// false for NOT_FOUND, nil for other failures.
    var hasFoundVolume: Bool? {
        reply == nil ? (failure?.code == .notFound ? false : nil) : true
    }
}

extension GRPCStatus.Code {
    /// Whether the driver refuses a call for its secrets, or for the lack of them (CSI specification, Error Scheme).
    var isDenied: Bool { self == .unauthenticated || self == .permissionDenied }
}
