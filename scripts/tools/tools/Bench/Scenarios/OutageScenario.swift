// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// An outage: all volumes become abnormal between two sweeps, and recover after everything is reported.
struct OutageScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "outage",
        abstract:
            "Measure an outage of all volumes: missing and repeated reports, time, memory and CPU."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(help: "The number of volumes.")
    var volumes = 20_000

    @Option(help: "The driver's health RPCs: legacy or health.")
    var generation = ClusterProcess.Generation.legacy

    @Flag(help: "Give each volume its own message.")
    var ownMessages = false

    @Option(help: "--kube-api-qps and --kube-api-burst; 0 for their defaults.")
    var queriesPerSecond = 10_000

    @Option(help: "--list-volumes-interval, in seconds.")
    var interval = 10

    @Option(help: "The seconds after which a missing report counts as lost.")
    var patience = 900

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        var flags = ["--list-volumes-interval=\(interval)s"]
        if queriesPerSecond > 0 {
            flags += ["--kube-api-qps=\(queriesPerSecond)", "--kube-api-burst=\(queriesPerSecond)"]
        }
        return try await withCluster(.init(volumes: volumes, generation: generation)) { cluster in
            try await sidecar.run(in: cluster, flags) { process in
                let steady = try await cluster.memoryAtRest(of: process)
                // A sweep that is under way would find only some volumes abnormal.
                try await cluster.waitForTheEndOfASweep(by: process, self)
                try ProcessMemory.resetPeak(of: process)

                let before = try Costs(sidecar: process, cluster: cluster)
                try await cluster.makeAbnormal(volumes, ownMessages: ownMessages)
                let reported = try await cluster.timeUntilReported("VolumeConditionAbnormal", by: process, self)
                let after = try Costs(sidecar: process, cluster: cluster)
                let abnormal = try await cluster.events("VolumeConditionAbnormal")

                try await cluster.makeHealthy(volumes)
                let recovered = try await cluster.timeUntilReported("VolumeConditionNormal", by: process, self)
                let normal = try await cluster.events("VolumeConditionNormal")
                let memory = try ProcessMemory(of: process)
                let requests = try await cluster.requests()

                let (own, server) = (after.sidecar - before.sidecar, after.cluster - before.cluster)
                let isTarget = volumes == 20_000 && queriesPerSecond >= 10_000
                return [
                    Figure(
                        "volumes without a report",
                        Double(volumes - abnormal.objects),
                        .count,
                        target: 0
                    ),
                    Figure("reported twice", Double(abnormal.repeated + normal.repeated), .count, target: 0),
                    Figure("recoveries not reported", Double(volumes - normal.objects), .count, target: 0),
                    Figure("from the sweep until everything is reported", reported, .seconds),
                    Figure("from the sweep until all recoveries are reported", recovered, .seconds),
                    Figure("writes", Double(requests.writes), .count),
                    Figure("of them refused", Double(requests.refusedWrites), .count),
                    Figure("resident before", steady.resident, .bytes),
                    Figure("peak resident during both", memory.peakResident, .bytes),
                    Figure("peak, times before", memory.peakResident / steady.resident, .ratio, target: 1.6),
                    Figure("CPU until all is reported", own, .seconds),
                    Figure("CPU of the simulated server meanwhile", server, .seconds),
                    Figure("CPU, times the server's", own / server, .ratio, target: isTarget ? 1.0 : nil),
                ]
            }
        }
    }
}

/// CPU seconds so far.
private struct Costs {
    let sidecar: Double
    let cluster: Double

    init(sidecar process: Int32, cluster: ClusterProcess) throws {
        sidecar = try ProcessTime(of: process).seconds
        self.cluster = try ProcessTime(of: cluster.processID).seconds
    }
}

extension ClusterProcess {
    /// Returns soon after the last call of a sweep.
    fileprivate func waitForTheEndOfASweep(by process: Int32, _ scenario: OutageScenario) async throws {
        let method = configuration.generation.listMethod
        let calls = (try await callCount(method) / callsPerSweep + 1) * callsPerSweep
        try await wait(for: method, count: calls, by: process, within: .seconds(3 * scenario.interval))
        try await ContinuousClock().sleep(for: .seconds(1))
    }

    /// The time from the next list call until each volume has a new event with the reason and, if the sidecar writes
    /// claims' status, a new status.
    fileprivate func timeUntilReported(
        _ reason: String,
        by process: Int32,
        _ scenario: OutageScenario
    ) async throws -> Double {
        let method = configuration.generation.listMethod
        let (calls, before) = (try await callCount(method), try await requests())
        try await wait(for: method, count: calls + 1, by: process, within: .seconds(3 * scenario.interval))
        let start = try await self.calls(method)[calls].time
        while true {
            let elapsed = Self.now - start
            if elapsed >= Double(scenario.patience) { return elapsed }
            let now = try await requests()
            let patched = now.statusWrites - before.statusWrites
            let isPatched = patched == 0 || patched >= configuration.volumes
            // The events on the CSIDriver count too: the events themselves are only looked through when there are enough.
            if now.createdEvents - before.createdEvents >= configuration.volumes, isPatched,
                try await events(reason).objects >= configuration.volumes
            {
                return elapsed
            }
            _ = try ProcessTime(of: process)
            try await ContinuousClock().sleep(for: .milliseconds(100))
        }
    }
}
