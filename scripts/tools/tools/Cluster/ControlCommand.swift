// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Synchronization

/// A command for a simulated cluster that runs with `--control`. ``all`` lists them.
struct ControlCommand: Sendable {
    /// The first word of its line.
    let name: String
    /// The words after it, for the help: `[COUNT]`.
    var arguments = ""
    /// For the help.
    let abstract: String
    /// Runs it; returns the result, a JSON object.
    let run: @Sendable (ControlledCluster, _ arguments: [String]) async throws -> JSONValue
}

/// The cluster that commands act on.
struct ControlledCluster: Sendable {
    let server: SimulatedAPIServer
    let driver: SimulatedDriver
    let injector: FaultInjector
    /// nil with --side=controller.
    let node: SimulatedNode?
    let requests = RequestCounter()

    fileprivate var activeFaults: JSONValue {
        ["faults": .array(injector.active.map { .string($0.name) })]
    }
}

extension Fault {
    fileprivate init(arguments: [String]) throws(ControlError) {
        guard arguments.count == 1, let fault = Fault(name: arguments[0]) else {
            throw ControlError(description: "unknown fault \"\(arguments.joined(separator: " "))\"")
        }
        self = fault
    }
}

/// Counts requests by verb, resource and status.
final class RequestCounter: Sendable {
    private let counts = Mutex<[String: Int64]>([:])

    /// Counts the new requests and removes them from the journal, so that it does not grow without bound.
    func update(from journal: Journal<RequestRecord>) -> [String: Int64] {
        counts.withLock { counts in
            for record in journal.takeAll() {
                let request = record.request
                let resource = [request.resource, request.subresource].filter { !$0.isEmpty }.joined(separator: "/")
                let code = record.code.map { "\($0)" } ?? "no-response"
                counts["\(request.verb?.rawValue ?? request.method) \(resource) \(code)", default: 0] += 1
            }
            return counts
        }
    }
}

/// A command has invalid arguments or cannot run.
struct ControlError: Error, CustomStringConvertible {
    let description: String
}

extension ControlCommand {
    static let all = [
        abnormal, abnormalEach, healthy, unmount, mount, hang, storage, latency, array, load, requests, calls, events,
        fault, end,
    ]

    private static let fault = ControlCommand(
        name: "fault",
        arguments: "NAME",
        abstract: "Begin a fault."
    ) { cluster, arguments in
        try await cluster.injector.begin(Fault(arguments: arguments))
        return cluster.activeFaults
    }

    private static let end = ControlCommand(
        name: "end",
        arguments: "[NAME]",
        abstract: "End a fault, or all."
    ) { cluster, arguments in
        if arguments.isEmpty {
            try await cluster.injector.endAll()
        } else {
            try await cluster.injector.end(Fault(arguments: arguments))
        }
        return cluster.activeFaults
    }

    private static let abnormal = ControlCommand(
        name: "abnormal",
        arguments: "[COUNT]",
        abstract: "Make the first COUNT volumes abnormal, or all, at once."
    ) { cluster, arguments in
        try cluster.changeVolumes(arguments) { volume in
            volume.becomeAbnormal("The backend has lost the volume")
        }
    }

    private static let abnormalEach = ControlCommand(
        name: "abnormal-each",
        arguments: "[COUNT]",
        abstract: "Like abnormal, but each message names its volume."
    ) { cluster, arguments in
        try cluster.changeVolumes(arguments) { volume in
            volume.becomeAbnormal("The backend has lost the volume \(volume.id)")
        }
    }

    private static let healthy = ControlCommand(
        name: "healthy",
        arguments: "[COUNT]",
        abstract: "Make the first COUNT volumes healthy, or all, at once."
    ) { cluster, arguments in
        try cluster.changeVolumes(arguments) { volume in
            (volume.condition, volume.nodeCondition) = (.healthy, .healthy)
            (volume.health, volume.nodeHealth) = ([], [])
        }
    }

    private static let unmount = ControlCommand(
        name: "unmount",
        arguments: "[COUNT]",
        abstract: "With --side=node, unmount the first COUNT volumes, or all, under their pods."
    ) { cluster, arguments in
        try await cluster.changeNode(arguments) { node, count in try await node.unmount(count) }
    }

    private static let mount = ControlCommand(
        name: "mount",
        arguments: "[COUNT]",
        abstract: "With --side=node, mount the first COUNT volumes, or all, again, and end their hanging."
    ) { cluster, arguments in
        try await cluster.changeNode(arguments) { node, count in try await node.mount(count) }
    }

    private static let hang = ControlCommand(
        name: "hang",
        arguments: "[COUNT]",
        abstract: "With --side=node, let all calls about the first COUNT volumes, or all, hang."
    ) { cluster, arguments in
        try await cluster.changeNode(arguments) { node, count in node.hang(count) }
    }

    private static let storage = ControlCommand(
        name: "storage",
        arguments: "[STATUS REASON [MESSAGE]]",
        abstract: """
            With --side=node, set the condition of the storage that the node uses: STORAGE_DEGRADED or \
            STORAGE_UNREACHABLE; without arguments, it is healthy.
            """
    ) { cluster, arguments in
        let numbers = ["STORAGE_DEGRADED": 1, "STORAGE_UNREACHABLE": 2]
        guard cluster.node != nil else { throw ControlError(description: "the cluster has no node, see --side") }
        guard arguments.count != 1, let status = arguments.isEmpty ? 0 : numbers[arguments[0]] else {
            throw ControlError(description: "storage requires STORAGE_DEGRADED or STORAGE_UNREACHABLE, and a reason")
        }
        cluster.driver.configuration.storageHealth =
            arguments.isEmpty
            ? [] : [.init(status: status, reason: arguments[1], message: arguments.dropFirst(2).joined(separator: " "))]
        return [:]
    }

    private static let latency = ControlCommand(
        name: "latency",
        arguments: "MILLISECONDS",
        abstract: "Set the latency of the driver's calls."
    ) { cluster, arguments in
        guard arguments.count == 1, let milliseconds = Int(arguments[0]), milliseconds >= 0 else {
            throw ControlError(description: "latency requires a number of milliseconds")
        }
        cluster.driver.configuration.latency = .milliseconds(milliseconds)
        return [:]
    }

    private static let array = ControlCommand(
        name: "array",
        arguments: "SERVERS MILLISECONDS [JITTER_PERCENT [SEED]]",
        abstract: """
            Limit the driver's storage to SERVERS calls about volumes at a time, each of MILLISECONDS; other calls wait. \
            SERVERS 0 removes the limit.
            """
    ) { cluster, arguments in
        let numbers = arguments.compactMap { Int($0) }
        guard (2...4).contains(arguments.count), numbers.count == arguments.count, numbers.allSatisfy({ $0 >= 0 })
        else { throw ControlError(description: "array requires two to four numbers") }
        cluster.driver.configuration.array =
            numbers[0] == 0
            ? nil
            : SimulatedArray(
                servers: numbers[0],
                serviceTime: .milliseconds(numbers[1]),
                jitter: numbers.count > 2 ? Double(numbers[2]) / 100 : 0,
                seed: numbers.count > 3 ? UInt64(numbers[3]) : 0
            )
        return [:]
    }

    private static let load = ControlCommand(
        name: "load",
        abstract: """
            Print the load of the driver's storage since the last load or array: {"seconds": 5.0, "calls": 400, \
            "median": 0.05, "p99": 0.07, "deepestQueue": 2}, latencies in seconds.
            """
    ) { cluster, _ in
        guard let array = cluster.driver.configuration.array else {
            throw ControlError(description: "the driver's storage has no limit, see array")
        }
        let load = array.takeLoad()
        func latency(percentile: Int) -> JSONValue {
            guard !load.latencies.isEmpty else { return .null }
            let latency = load.latencies[min(load.latencies.count * percentile / 100, load.latencies.count - 1)]
            return .number(latency / .seconds(1))
        }
        return [
            "seconds": .number(load.observed / .seconds(1)),
            "calls": .integer(Int64(load.latencies.count)),
            "median": latency(percentile: 50),
            "p99": latency(percentile: 99),
            "deepestQueue": .integer(Int64(load.deepestQueue)),
        ]
    }

    private static let requests = ControlCommand(
        name: "requests",
        abstract: #"Print the number of requests to the API server: {"create events 201": 3, ...}."#
    ) { cluster, _ in
        .object(cluster.requests.update(from: cluster.server.journal).mapValues { .integer($0) })
    }

    private static let calls = ControlCommand(
        name: "calls",
        arguments: "[METHOD]",
        abstract: """
            Print the number of calls to the driver: {"ListVolumes": 3, ...}; or for one METHOD the time of each call in \
            seconds since the machine's start, and its volume: {"received": [17.2], "volumes": ["volume-1"]}.
            """
    ) { cluster, arguments in
        guard let method = arguments.first else {
            let names = cluster.driver.journal.records.lazy.map { $0.method.split(separator: "/").last ?? "" }
            let counts = Dictionary(names.map { (String($0), Int64(1)) }, uniquingKeysWith: +)
            return .object(counts.mapValues { .integer($0) })
        }
        let calls = cluster.driver.journal.calls(method)
        let start = ContinuousClock().systemEpoch
        return [
            "received": .array(calls.map { .number(start.duration(to: $0.time) / .seconds(1)) }),
            "volumes": .array(calls.map { .string($0.volumeID) }),
        ]
    }

    private static let events = ControlCommand(
        name: "events",
        arguments: "REASON",
        abstract: """
            Print the number of events with a reason, of the objects with such events, and of the objects with more \
            than one.
            """
    ) { cluster, arguments in
        guard arguments.count == 1 else { throw ControlError(description: "events requires a reason") }
        var counts: [JSONValue: Int] = [:]
        for event in try cluster.server.objects(kind: "Event") where event["reason"]?.string == arguments[0] {
            counts[event["involvedObject", "uid"] ?? .null, default: 0] += 1
        }
        return [
            "events": .integer(Int64(counts.values.reduce(0, +))),
            "objects": .integer(Int64(counts.count)),
            "repeated": .integer(Int64(counts.values.count { $0 > 1 })),
        ]
    }
}

extension ControlledCluster {
    /// Changes the first COUNT volumes, or all, atomically for the driver's lists.
    fileprivate func changeVolumes(
        _ arguments: [String],
        _ change: (inout SimulatedVolume) -> Void
    ) throws -> JSONValue {
        var volumes = driver.volumes
        let count = try count(arguments, of: volumes.count)
        for position in 0..<count { change(&volumes[position]) }
        driver.volumes = volumes
        return ["volumes": .integer(Int64(count))]
    }

    /// Changes the first COUNT volumes of the node, or all.
    fileprivate func changeNode(
        _ arguments: [String],
        _ change: (SimulatedNode, _ count: Int) async throws -> Void
    ) async throws -> JSONValue {
        guard let node else { throw ControlError(description: "the cluster has no node, see --side") }
        let count = try count(arguments, of: driver.volumes.count)
        try await change(node, count)
        return ["volumes": .integer(Int64(count))]
    }

    private func count(_ arguments: [String], of all: Int) throws(ControlError) -> Int {
        guard let count = arguments.isEmpty ? all : Int(arguments[0]), (0...all).contains(count) else {
            throw ControlError(description: "COUNT must be between 0 and \(all)")
        }
        return count
    }
}

extension SimulatedVolume {
    fileprivate mutating func becomeAbnormal(_ message: String) {
        (condition, nodeCondition) = (.abnormal(message), .abnormal(message))
        health = [.init(status: 2, reason: "Lost", message: message)]
        nodeHealth = health
    }
}
