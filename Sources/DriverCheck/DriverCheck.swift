// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import GRPCTransport

/// What to check.
package struct CheckOptions: Sendable {
    /// A path, or a gRPC address: `unix:///run/csi/socket`.
    package var address: String
    package var side: Check.Side
    /// The deadline of each call.
    package var timeout: Duration
    package var volumeIDs: [String] = []
    /// Whether to create a volume, use it and delete it.
    package var createsVolume = false
    /// The parameters of the created volume.
    package var parameters: [String: String] = [:]
    /// Where the volumes are published on this node, as the driver sees it; empty: unknown.
    package var volumePath = ""
    /// Where the volumes are staged; empty: unknown, or not.
    package var stagingPath = ""
    /// The pause after the first failed attempt to delete the created volume; it doubles with each.
    package var deletionDelay = Duration.seconds(1)

    package init(address: String, side: Check.Side = .controller, timeout: Duration = .seconds(15)) {
        self.address = address
        self.side = side
        self.timeout = timeout
    }
}

/// Calls a driver as a health monitor does, and with invalid requests for which the specification requires a status,
/// and returns the deviations. Changes nothing, unless ``CheckOptions/createsVolume`` is set.
package struct DriverCheck: Sendable {
    private let options: CheckOptions
    /// Makes names unique: of the created volume, and of what must not exist.
    private let suffix: String

    /// The longest timeout of the calls that delete the created volume at the end: an interrupted check must end.
    private static let deletionTimeout = Duration.seconds(30)

    /// - Parameter suffix: letters and digits that no other check has.
    package init(_ options: CheckOptions, suffix: String) {
        self.options = options
        self.suffix = suffix
    }

    /// Runs the check. A volume that it creates is deleted when it returns, unless the driver refuses, which the report
    /// says. Cancellation of the task ends the check without deleting the volume: use `interrupted`.
    ///
    /// - Parameter interrupted: returns when the check is to stop early, or on cancellation.
    /// - Throws: `GRPCError` when the address is invalid.
    package func run(
        until interrupted: @escaping @Sendable () async -> Void = { await untilCancelled() }
    ) async throws(GRPCError) -> CheckReport {
        if let path = SocketFile.path(of: options.address), let problem = SocketFile(path: path).problem {
            return CheckReport(side: options.side, problem: problem)
        }
        let channel = try GRPCChannel(target: options.address)
        let calls = DriverCalls(channel: channel, timeout: options.timeout)
        let volume = CreatedVolume(name: "csi-health-monitor-check-\(suffix)")
        let report = await withTaskGroup(of: CheckReport?.self) { group in
            group.addTask { await self.report(calls, volume) }
            group.addTask {
                await interrupted()
                return nil
            }
            let first = await group.next() ?? nil
            // The calls in flight end at once.
            group.cancelAll()
            return first ?? CheckReport(side: self.options.side, problem: "interrupted")
        }
        // In this task, which is not cancelled by an interruption.
        let leftover = await volume.remove(
            DriverCalls(channel: channel, timeout: min(options.timeout, Self.deletionTimeout)),
            parameters: options.parameters,
            delay: options.deletionDelay
        )
        await channel.shutdown()
        var result = report
        result.leftover = leftover
        return result
    }

    private func report(_ calls: DriverCalls, _ volume: CreatedVolume) async -> CheckReport {
        let probe = await calls.probe()
        var report = CheckReport(side: options.side)
        guard probe.reply == true else {
            report.problem =
                probe.reply == nil ? "Probe: \(probe.received)" : "the driver is not ready: Probe returned ready=false"
            return report
        }
        let info = await calls.pluginInfo()
        report.driver = info.reply
        if options.side == .controller {
            let service = await calls.hasControllerService()
            guard service.reply == true else {
                report.problem =
                    service.reply == nil
                    ? "GetPluginCapabilities: \(service.received)"
                    : "the driver has no controller service: check its node plugin with --side=node"
                return report
            }
        }
        let announced =
            options.side == .controller ? await calls.controllerCapabilities() : await calls.nodeCapabilities()
        var recording = DriverRecording(info: info, capabilities: announced)
        guard let numbers = announced.reply else {
            report.problem = "\(announced.method): \(announced.received)"
            return report
        }
        let capabilities = Capabilities(numbers, side: options.side)
        if capabilities.usable.isEmpty, !capabilities.reportsStorageHealth {
            report.problem = MonitorPlan.missingCapabilities(of: options.side)
        } else {
            await record(capabilities, calls, volume, into: &recording)
            report.problem = recording.obstacle(volumeIDs: options.volumeIDs)
        }
        report.results = Findings.results(of: recording, side: options.side)
        report.latencies = MethodLatency.all(of: recording)
        report.plan = MonitorPlan(recording, capabilities, report.results)
        return report
    }

    private func record(
        _ capabilities: Capabilities,
        _ calls: DriverCalls,
        _ volume: CreatedVolume,
        into recording: inout DriverRecording
    ) async {
        let recorder = DriverRecorder(
            calls: calls,
            options: options,
            unknownName: "csi-health-monitor-check-unknown-\(suffix)"
        )
        if options.side == .node {
            for generation in capabilities.usable where !Task.isCancelled {
                recording.services.append(await recorder.recordNode(generation))
            }
            if capabilities.reportsStorageHealth { recording.storageHealth = await calls.storageHealth() }
            return
        }
        var ids = options.volumeIDs
        recording.lacksCreation = options.createsVolume && !capabilities.createsVolumes
        if options.createsVolume, capabilities.createsVolumes {
            let creation = await volume.create(calls, parameters: options.parameters)
            recording.created = CreatedVolumeRecording(creation: creation)
            if let id = creation.reply, !id.isEmpty { ids.append(id) }
        }
        for generation in capabilities.usable where !Task.isCancelled {
            recording.services.append(await recorder.record(generation, capabilities, volumeIDs: ids))
        }
        guard var created = recording.created, let id = created.creation.reply, !id.isEmpty, !Task.isCancelled else {
            return
        }
        created.isListed = recording.services.hasFound(id)
        created.deletion = await volume.delete(calls)
        if created.deletion?.reply != nil {
            if let generation = capabilities.usable.last(where: { capabilities.gets($0) }) {
                created.getAfterDeletion = await calls.get(generation, id: id)
            }
            created.secondDeletion = await calls.deleteVolume(id: id)
        }
        recording.created = created
    }
}

extension [ServiceRecording] {
    /// Whether calls for one volume and lists find a volume that exists; nil where nothing says.
    fileprivate func hasFound(_ id: String) -> Bool? {
        var facts: [Bool] = []
        for service in self {
            for get in service.gets where get.id == id { facts += get.exchanges.compactMap(\.hasFoundVolume) }
            // Lists of health leave out healthy volumes.
            let lists = service.generation == .legacy ? service.fullLists.filter(\.isComplete) : []
            // A list in pages may miss a volume while others come and go (CSI specification, ListVolumes).
            if !lists.isEmpty { facts.append(lists.contains { $0.ids.contains(id) }) }
        }
        return facts.isEmpty ? nil : facts.allSatisfy(\.self)
    }
}

/// Returns on cancellation.
package func untilCancelled() async {
    let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
    for await _ in stream {}
    _ = continuation
}
