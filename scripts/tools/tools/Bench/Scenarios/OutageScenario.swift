// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// What becomes of an outage: all volumes turn abnormal between two sweeps, and recover when all of that is reported.
struct OutageScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "outage",
        abstract:
            "All volumes turn abnormal at once: what is reported, dropped, reported twice, how soon, at what cost."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(help: "How many volumes there are.")
    var volumes = 20_000

    @Option(help: "The driver's generation: legacy or health.")
    var generation = ClusterProcess.Generation.legacy

    @Flag(help: "Each volume's message names it; otherwise all are the same.")
    var ownMessages = false

    @Option(help: "--kube-api-qps and --kube-api-burst; 0 leaves them at their defaults.")
    var queriesPerSecond = 10_000

    @Option(help: "--list-volumes-interval, in seconds.")
    var interval = 10

    @Option(help: "After so many seconds what is not reported counts as dropped.")
    var patience = 900

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        var flags = ["--list-volumes-interval=\(interval)s"]
        if queriesPerSecond > 0 {
            flags += ["--kube-api-qps=\(queriesPerSecond)", "--kube-api-burst=\(queriesPerSecond)"]
        }
        return try await withCluster(.init(volumes: volumes, generation: generation)) { cluster in
            try await sidecar.run(in: cluster, flags) { process in
                let steady = try await cluster.memoryAtRest(of: process)
                // A sweep has begun: one that finds some volumes abnormal and others not would leave these to the next.
                try await cluster.waitForTheEndOfASweep(by: process, self)
                try ProcessMemory.resetPeak(of: process)

                let before = try Costs(sidecar: process, cluster: cluster)
                try await cluster.makeAbnormal(volumes, ownMessages: ownMessages)
                let reported = try await cluster.timeUntilReported(by: process, self)
                let after = try Costs(sidecar: process, cluster: cluster)
                let abnormal = try await cluster.events("VolumeConditionAbnormal")

                try await cluster.makeHealthy(volumes)
                let recovered = try await cluster.timeUntilReported(by: process, self)
                let normal = try await cluster.events("VolumeConditionNormal")
                let memory = try ProcessMemory(of: process)
                let requests = try await cluster.requests()

                let (own, server) = (after.sidecar - before.sidecar, after.cluster - before.cluster)
                let isTarget = volumes == 20_000 && queriesPerSecond >= 10_000
                return [
                    Figure(
                        "volumes of which nothing was reported",
                        Double(volumes - abnormal.objects),
                        .count,
                        target: 0
                    ),
                    Figure("reported twice", Double(abnormal.repeated + normal.repeated), .count, target: 0),
                    Figure("recoveries not reported", Double(volumes - normal.objects), .count, target: 0),
                    Figure("from the sweep until all is reported", reported, .seconds),
                    Figure("from the sweep until all recoveries are reported", recovered, .seconds),
                    Figure("writes", Double(requests.writes), .count),
                    Figure("of them refused", Double(requests.refusedWrites), .count),
                    Figure("resident before", steady.resident, .bytes),
                    Figure("peak resident during both", memory.peakResident, .bytes),
                    Figure("peak, times before", memory.peakResident / steady.resident, .ratio, target: 1.3),
                    Figure("CPU until all is reported", own, .seconds),
                    Figure("CPU of the simulated server meanwhile", server, .seconds),
                    Figure("CPU, times the server's", own / server, .ratio, target: isTarget ? 0.5 : nil),
                ]
            }
        }
    }
}

/// CPU so far.
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

    /// The time from the first call for a list from now on until as many events were made as there are volumes and, if
    /// the sidecar writes claims' status, as many further writes of that.
    fileprivate func timeUntilReported(
        by process: Int32,
        _ scenario: OutageScenario
    ) async throws -> Double {
        let method = configuration.generation.listMethod
        let (calls, before) = (try await callCount(method), try await requests())
        try await wait(for: method, count: calls + 1, by: process, within: .seconds(3 * scenario.interval))
        let start = try await self.calls(method)[calls].time
        while Self.now < start + Double(scenario.patience) {
            let now = try await requests()
            let patched = now.statusWrites - before.statusWrites
            let isPatched = patched == 0 || patched >= configuration.volumes
            if now.createdEvents - before.createdEvents >= configuration.volumes, isPatched { break }
            _ = try ProcessTime(of: process)
            try await ContinuousClock().sleep(for: .milliseconds(100))
        }
        return Self.now - start
    }
}
