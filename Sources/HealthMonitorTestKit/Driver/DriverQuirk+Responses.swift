// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

extension DriverQuirk {
    /// The response to a call; nil lets the driver respond.
    func response(to call: SimulatedCall, of driver: SimulatedDriver, _ state: QuirkState) async -> SimulatedResponse? {
        if call.isList { return list(call, driver, state) }
        if call.isGet { return await get(call, driver, state) }
        switch (self, call.shortName) {
        case (.duplicateStorageProblems, "NodeGetStorageHealth"):
            let problem = SimulatedVolume.HealthEntry(status: 1, reason: "PathLost", message: "a path was lost")
            return .storageHealth([problem, problem])
        case (.createFails, "CreateVolume"): return .fail(.internal, "no space")
        case (.createWithoutID, "CreateVolume"): return .reply([])
        case (.createdIsUnknown, "CreateVolume"):
            // CreateVolumeResponse: volume=1 { volume_id=2 }
            var volume = WireWriter()
            volume.bytes("lost".utf8, field: 2)
            var response = WireWriter()
            response.bytes(volume.bytes, field: 1)
            return .reply(response.bytes)
        case (.deleteFails, "DeleteVolume"): return .fail(.internal, "busy")
        case (.secondDeleteFails, "DeleteVolume"):
            return state.delete(call.volumeID) ? .fail(.notFound, "gone already") : nil
        case (.deletedStays, "DeleteVolume"): return .reply([])
        default: return nil
        }
    }

    // MARK: Lists

    private func list(_ call: SimulatedCall, _ driver: SimulatedDriver, _ state: QuirkState) -> SimulatedResponse? {
        let isHealth = call.shortName == "ControllerListVolumeHealth"
        var volumes = driver.volumes.filter { !isHealth || !$0.health.isEmpty }
        func page(_ volumes: [SimulatedVolume], nextToken: String = "") -> SimulatedResponse {
            isHealth ? .volumeHealth(volumes, nextToken: nextToken) : .volumes(volumes, nextToken: nextToken)
        }
        let isFirst = call.startingToken.isEmpty
        let isInvalid = !isFirst && Int(call.startingToken) == nil
        let firstPage = call.maxEntries > 0 ? Array(volumes.prefix(call.maxEntries)) : volumes
        switch self {
        case .repeatedToken where isFirst || call.startingToken == "again":
            return page(isFirst ? firstPage : [], nextToken: "again")
        case .endlessPages where isFirst || call.startingToken.hasPrefix("page-"):
            return page(isFirst ? firstPage : [], nextToken: "page-\(state.nextCall())")
        case .acceptsInvalidToken: return isInvalid ? page(volumes) : nil
        case .refusesInvalidTokenOtherwise: return isInvalid ? .fail(.invalidArgument, "invalid token") : nil
        case .truncatesAtMaxEntries where call.maxEntries > 0 && isFirst: return page(firstPage)
        case .ignoresMaxEntries where call.maxEntries > 0 && isFirst: return page(volumes)
        case .listsVolumeTwice where call.maxEntries == 0 && !isInvalid: return page(volumes + volumes.prefix(1))
        case .entryWithoutID where call.maxEntries == 0 && !isInvalid:
            volumes.insert(SimulatedVolume(id: "", health: volumes.first?.health ?? []), at: 0)
            return page(volumes)
        case .entryWithoutCondition where call.maxEntries == 0 && !isInvalid:
            volumes[0].condition = nil
            return page(volumes)
        case .unstableOrder where call.maxEntries == 0 && !isInvalid:
            return page(state.nextList().isMultiple(of: 2) ? volumes.reversed() : volumes)
        case .noStatus, .unknownStatus, .noReason, .lowercaseReason, .longReason, .duplicatePairs, .longMessage,
            .abnormalWithoutMessage, .unstableMessage, .unstableEntryOrder:
            guard call.maxEntries == 0, !isInvalid else { return nil }
            let number = state.nextList()
            return page(volumes.map { changed($0, number) })
        default: return nil
        }
    }

    // MARK: Single volumes

    private func get(
        _ call: SimulatedCall,
        _ driver: SimulatedDriver,
        _ state: QuirkState
    ) async -> SimulatedResponse? {
        let known = driver.volumes.first { $0.id == call.volumeID }
        func response(_ volume: SimulatedVolume?) -> SimulatedResponse {
            switch call.shortName {
            case "ControllerGetVolume": volume.map { .volume($0) } ?? .reply([])
            case "ControllerGetVolumeHealth": .volumeHealth(volume)
            case "NodeGetVolumeHealth": .nodeVolumeHealth(volume)
            default: .nodeCondition(volume?.nodeCondition)
            }
        }
        switch self {
        case .unknownVolumeIsHealthy where known == nil && !call.volumeID.isEmpty:
            return response(SimulatedVolume(id: call.volumeID))
        case .emptyIDNotFound where call.volumeID.isEmpty: return .fail(.notFound, "no such volume")
        default: break
        }
        switch self {
        case .acceptsEmptyPath where call.volumePath.isEmpty: return response(known)
        case .acceptsUnknownPath where known != nil && !call.volumePath.isEmpty:
            if case .reply = driver.regularResponse(to: call) { return nil }
            return .nodeCondition(.healthy)
        case .requiresPaths where call.volumePath.isEmpty: return .fail(.invalidArgument, "no path")
        default: break
        }
        // The quirks that follow are of calls that succeed.
        guard var volume = known, case .reply = driver.regularResponse(to: call) else { return nil }
        switch self {
        case .wrongID:
            volume.id = "another"
            return response(volume)
        case .missingHealth:
            guard call.shortName == "ControllerGetVolume" else { return response(nil) }
            volume.condition = nil
            return response(volume)
        case .getContradictsList:
            return response(SimulatedVolume(id: volume.id))
        case .hangsOnGet: return .never
        case .timesOutOnGet: return .fail(.deadlineExceeded, "backend timed out")
        case .failsOnGet: return .fail(.internal, "backend lost")
        case .getUnimplemented: return .fail(.unimplemented, "not here")
        case .undecodable: return .reply([0x0A])
        case .notConcurrent:
            let isBusy = state.enter()
            // Others may arrive meanwhile, where a volume is not called for the first time or the second.
            let calls = state.nextCall(for: volume.id)
            if !isBusy, calls > 2 { try? await ContinuousClock().sleep(for: .milliseconds(250)) }
            state.leave()
            return isBusy ? .fail(.internal, "concurrent map writes") : nil
        case .noStatus, .unknownStatus, .noReason, .lowercaseReason, .longReason, .duplicatePairs, .longMessage,
            .abnormalWithoutMessage, .unstableMessage, .unstableEntryOrder:
            return response(changed(volume, state.nextCall(for: volume.id)))
        default: return nil
        }
    }

    // MARK: What is reported

    /// An unhealthy volume as the quirk reports it; a healthy one as it is.
    private func changed(_ volume: SimulatedVolume, _ number: Int) -> SimulatedVolume {
        var volume = volume
        volume.condition = volume.condition.map { changed($0, number) }
        volume.nodeCondition = volume.nodeCondition.map { changed($0, number) }
        volume.health = changed(volume.health, number)
        volume.nodeHealth = changed(volume.nodeHealth, number)
        return volume
    }

    private func changed(_ condition: SimulatedVolume.Condition, _ number: Int) -> SimulatedVolume.Condition {
        guard condition.isAbnormal else { return condition }
        switch self {
        case .longMessage: return .abnormal(String(repeating: "m", count: 1025))
        case .abnormalWithoutMessage: return .abnormal("")
        case .unstableMessage: return .abnormal("\(condition.message) \(number)")
        default: return condition
        }
    }

    private func changed(_ entries: [SimulatedVolume.HealthEntry], _ number: Int) -> [SimulatedVolume.HealthEntry] {
        if self == .duplicatePairs { return entries + entries }
        if self == .unstableEntryOrder { return number.isMultiple(of: 2) ? entries.reversed() : entries }
        return entries.map { entry in
            var entry = entry
            switch self {
            case .noStatus: entry.status = 0
            case .unknownStatus: entry.status = 9
            case .noReason: entry.reason = ""
            case .lowercaseReason: entry.reason = "disk_failure"
            case .longReason: entry.reason = "R" + String(repeating: "r", count: 256)
            case .longMessage: entry.message = String(repeating: "m", count: 1025)
            case .unstableMessage: entry.message += " \(number)"
            default: break
            }
            return entry
        }
    }
}

extension SimulatedCall {
    fileprivate var shortName: String { String(method.split(separator: "/").last ?? "") }

    /// Whether it is about one volume's health.
    fileprivate var isGet: Bool { reportsHealth && !isList }
}
