// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport

/// The volume of --create-volume, and the latency of all calls.
extension Findings {
    mutating func examine(_ created: CreatedVolumeRecording) {
        if created.creation.isRefusedCreation {
            let reason = "no volume was created: \(created.creation.received)"
            for check in [Check.created, .createdFound, .deleted, .deletedGone] { skip(check, reason) }
            return
        }
        let problem: String? =
            switch created.creation.outcome {
            case .reply(let id): id.isEmpty ? "the volume has no volume_id" : nil
            case .failed(let status): "\(status.code)"
            case .undecodable(let text): text
            }
        examine(.created, created.creation, problem)
        guard problem == nil else {
            for check in [Check.createdFound, .deleted, .deletedGone] { skip(check, "no volume was created") }
            return
        }
        if let isListed = created.isListed {
            examine(.createdFound, created.creation, isListed ? nil : "the new volume is not found, or not listed")
        }
        for deletion in [created.deletion, created.secondDeletion] {
            guard let deletion else { continue }
            examine(.deleted, deletion, deletion.reply == nil ? "the volume was not deleted" : nil)
        }
        guard created.deletion?.reply != nil, let get = created.getAfterDeletion else { return }
        expect(.notFound, .deletedGone, get)
    }

    mutating func measureLatency(_ recording: DriverRecording) {
        let latencies = MethodLatency.all(of: recording)
        guard !latencies.isEmpty else { return }
        measured(.latency, latencies.map(\.description).joined(separator: "; "))
    }
}

/// How long the calls of one RPC took that had a response.
package struct MethodLatency: Sendable, Hashable, CustomStringConvertible {
    package var method: String
    package var calls: Int
    package var median: Duration
    package var p99: Duration

    /// - Parameter durations: at least one.
    init(method: String, durations: [Duration]) {
        let sorted = durations.sorted()
        self.method = method
        calls = sorted.count
        median = sorted[Self.rank(50, of: sorted.count)]
        p99 = sorted[Self.rank(99, of: sorted.count)]
    }

    /// The index of a percentile by the nearest rank.
    static func rank(_ percent: Int, of count: Int) -> Int {
        max(0, (percent * count + 99) / 100 - 1)
    }

    static func all(of recording: DriverRecording) -> [MethodLatency] {
        var durations: [String: [Duration]] = [:]
        func add<Reply>(_ exchanges: [Exchange<Reply>]) {
            for exchange in exchanges where exchange.reply != nil {
                durations[exchange.method, default: []].append(exchange.duration)
            }
        }
        for service in recording.services {
            add((service.fullLists + service.pagedLists).flatMap(\.pages))
            add((service.gets + service.parallel.calls).flatMap(\.exchanges))
        }
        add([recording.storageHealth].compactMap(\.self))
        return durations.keys.sorted().map { MethodLatency(method: $0, durations: durations[$0] ?? [.zero]) }
    }

    package var description: String {
        "\(method) p50 \(milliseconds(median)), p99 \(milliseconds(p99)) of \(calls) call\(calls == 1 ? "" : "s")"
    }
}

func milliseconds(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    let tenths = seconds * 10_000 + (attoseconds + 50_000_000_000_000) / 100_000_000_000_000
    return "\(tenths / 10).\(tenths % 10)ms"
}
