// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import HealthMonitorTestKit

/// One agent for all drivers of a node: its requests at start, at rest and in an outage, its memory and its CPU; and
/// beside it scripted clients with the requests of many agents.
struct AgentScenario: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract:
            "Measure an agent with three CSI drivers: API requests, memory, CPU and time until an outage is reported."
    )

    @OptionGroup var benchmark: BenchmarkOptions

    @Option(help: "The number of pods of the node.")
    var pods = 110

    @Option(help: "The number of their volumes.")
    var volumes = 250

    @Option(help: "--monitor-interval in seconds; by default it is omitted, and one minute applies.")
    var interval: Int?

    @Option(help: "The seconds at rest that are measured.")
    var rest = 600

    @Option(help: "The seconds after which a missing report counts as lost.")
    var patience = 900

    @Option(help: "The number of scripted agents that start beside the real one; 0 omits that part.")
    var agents = 0

    @Option(help: "The seconds within which the scripted agents start, at random times.")
    var spread = 10.0

    func measure(_ sidecar: Sidecar) async throws -> [Figure] {
        let (alone, reads) = try await NodeCluster.with(pods: pods, volumes: volumes) { node in
            try await sidecar.runAgent(on: node, flags) { process in
                let start = try await self.start(node, process)
                let rest = try await self.rest(node, process)
                let outage = try await self.outage(node, process)
                return (figures: start.figures + rest + outage, reads: start.reads)
            }
        }
        guard agents > 0 else { return alone }
        let crowd = try await NodeCluster.with(pods: pods, volumes: volumes) { node in
            try await self.crowd(node, ScriptedAgents(node: node, reads: reads), sidecar)
        }
        return alone + crowd
    }

    private var flags: [String] { interval.map { ["--monitor-interval=\($0)s"] } ?? [] }
    /// Shorter intervals, and other numbers of volumes, have no target.
    private var isTarget: Bool { interval == nil && volumes == 250 }

    // MARK: Phases

    private func start(
        _ node: NodeCluster,
        _ process: Int32
    ) async throws -> (figures: [Figure], reads: [ScriptedAgents.Read]) {
        let (began, requests) = try await node.waitForStart(of: process)
        let figures =
            [
                Figure("start: until every volume is probed and the last request is made", began, .seconds),
                Figure("start: requests", Double(requests.count), .count),
                Figure("start: most requests in a second", Double(requests.peakPerSecond), .count),
            ] + requests.kinds.map { Figure("start: \($0.kind)", Double($0.count), .count) }
        return (figures, ScriptedAgents.reads(of: requests))
    }

    private func rest(_ node: NodeCluster, _ process: Int32) async throws -> [Figure] {
        let began = ContinuousClock.now
        let before = try ProcessTime(of: process).seconds
        try await ContinuousClock().sleep(for: .seconds(rest))
        let used = try ProcessTime(of: process).seconds - before
        let share = used / ((ContinuousClock.now - began) / .seconds(1))
        let requests = node.requests(since: began)
        let memory = try ProcessMemory(of: process)
        return [
            Figure(
                "rest: requests other than a new watch",
                Double(requests.count { $0.request.verb != .watch }),
                .count,
                target: 0
            ),
            Figure("rest: new watches", Double(requests.count { $0.request.verb == .watch }), .count),
            Figure("rest: share of a core", share, .ratio, target: isTarget ? 0.002 : nil),
            Figure("rest: resident", memory.resident, .bytes, target: isTarget ? 30e6 : nil),
            Figure("rest: of that no page of a file", memory.anonymous, .bytes),
            Figure("rest: peak resident so far", memory.peakResident, .bytes),
        ]
    }

    private func outage(_ node: NodeCluster, _ process: Int32) async throws -> [Figure] {
        let began = ContinuousClock.now
        node.setVolumes(areBroken: true)
        while try node.abnormalEvents() < volumes, ContinuousClock.now < began + .seconds(patience) {
            _ = try ProcessTime(of: process)
            try await ContinuousClock().sleep(for: .milliseconds(100))
        }
        let reported = (ContinuousClock.now - began) / .seconds(1)
        // A second report of a volume would follow within the interval.
        try await ContinuousClock().sleep(for: .seconds(interval ?? 60))
        let requests = node.requests(since: began)
        let missing = volumes - (try node.abnormalEvents())
        let repeated = requests.count(where: \.isWritten) - (volumes - missing)
        return [
            Figure("outage: volumes without a report", Double(missing), .count, target: 0),
            Figure("outage: reported twice", Double(repeated), .count, target: 0),
            Figure("outage: until every volume is reported", reported, .seconds),
            Figure("outage: most requests in a second", Double(requests.peakPerSecond), .count),
            Figure("outage: peak resident", try ProcessMemory(of: process).peakResident, .bytes),
        ] + requests.kinds.map { Figure("outage: \($0.kind)", Double($0.count), .count) }
    }

    /// The real agent starts beside the scripted ones.
    private func crowd(_ node: NodeCluster, _ scripted: ScriptedAgents, _ sidecar: Sidecar) async throws -> [Figure] {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            let began = ContinuousClock.now
            group.addTask { try await scripted.run(count: agents, within: .seconds(spread)) }
            return try await sidecar.runAgent(on: node, flags) { process in
                let real = try await node.waitForStart(of: process).seconds
                try await poll(for: "end of the scripted reads", by: process, within: .seconds(spread) + limitOfStart) {
                    // So that the journal does not keep them all.
                    _ = node.requests(since: began)
                    return scripted.finished == agents
                }
                let start = node.takeScriptedRequests()
                let seconds = start.last.map { ($0 - began) / .seconds(1) } ?? 1
                let watches = scripted.openWatches
                try await ContinuousClock().sleep(for: .seconds(rest))
                let atRest = node.takeScriptedRequests()
                let subject = "\(grouped(agents)) scripted agents"
                return [
                    Figure("\(subject): requests", Double(start.count), .count),
                    Figure("\(subject): until the last request", seconds, .seconds),
                    Figure("\(subject): requests per second", Double(start.count) / seconds, .perSecond),
                    Figure("\(subject): most requests in a second", Double(start.peakPerSecond), .count),
                    Figure("\(subject): failed requests", Double(scripted.failures), .count, target: 0),
                    Figure("\(subject): open watches", Double(watches), .count, least: Double(agents)),
                    Figure("\(subject), at rest: requests per second", Double(atRest.count) / Double(rest), .perSecond),
                    Figure("\(subject), at rest: most requests in a second", Double(atRest.peakPerSecond), .count),
                    Figure("the real agent beside them: until its last request", real, .seconds),
                ]
            }
        }
    }
}

/// Far longer than an agent takes to start at the default limits.
private let limitOfStart = Duration.seconds(900)

extension NodeCluster {
    /// Without a request for so long, the agent has started.
    private static let quiet = Duration.seconds(5)

    /// Waits until an agent that was just started has probed every volume, and makes no further requests.
    ///
    /// - Returns: its requests, and the seconds until the last of them or the last first probe.
    fileprivate func waitForStart(
        of process: Int32
    ) async throws -> (seconds: Double, requests: [RequestRecord]) {
        let began = ContinuousClock.now
        var probed: ContinuousClock.Instant?
        try await poll(for: "probe of every volume", by: process, within: limitOfStart) {
            if probed == nil, probedVolumes(since: began) >= volumes { probed = .now }
            guard probed != nil, let last = self.requests(since: began).last else { return false }
            return last.time + Self.quiet < .now
        }
        let requests = self.requests(since: began)
        let end = max(probed ?? began, requests.last?.time ?? began)
        return ((end - began) / .seconds(1), requests)
    }
}

extension Sidecar {
    /// Runs it as a DaemonSet would run the agent of all drivers, with an HTTP endpoint.
    ///
    /// - Parameter body: gets its process id.
    fileprivate func runAgent<Result: Sendable>(
        on node: NodeCluster,
        _ flags: [String],
        _ body: (Int32) async throws -> Result
    ) async throws -> Result {
        let flags =
            [
                "agent", "--all-drivers", "--kubelet-root-path=\(node.kubeletRoot)",
                "--kubeconfig=\(node.kubeconfig(of: NodeCluster.agent))", "--http-endpoint=127.0.0.1:0",
            ] + flags
        return try await withProcess(
            path,
            flags,
            environment: ["NODE_NAME": NodeCluster.nodeName],
            log: node.log,
            body
        )
    }
}
