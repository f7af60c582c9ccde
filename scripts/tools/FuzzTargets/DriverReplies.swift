// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import CSISpec
import ControllerCore
import ControllerMonitor
import HealthCore
import HealthRuntime

/// The input: a sequence of replies of the driver, outcomes of reports and changes of the cluster. Each step is a byte
/// that selects it, and its arguments.
///
/// ``MonitoredCluster`` keeps what was reported on every claim, and checks each pending report against it.
enum DriverReplies {
    /// Longer sequences find nothing that shorter ones do not.
    private static let maximumSteps = 200

    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        var cluster = MonitoredCluster()
        for _ in 0..<maximumSteps where !input.isEmpty {
            try step(input.number(below: 12), &input, &cluster)
        }
        cluster.advance(.seconds(7200))
        try cluster.reportAll(.reported)
    }

    private static func step(
        _ step: Int,
        _ input: inout FuzzInput,
        _ cluster: inout MonitoredCluster
    ) throws(InvariantViolation) {
        switch step {
        case 0: try cluster.list(reports(ofVolumes: input.block()))
        case 1: try cluster.list(reports(ofHealth: input.block()))
        case 2:
            let handle = handle(&input)
            try cluster.receive(result(ofVolume: input.block(), handle), of: handle)
        case 3:
            let handle = handle(&input)
            try cluster.receive(result(ofHealth: input.block(), handle), of: handle)
        case 4: try cluster.receive(.notFound, of: handle(&input))
        case 5: try cluster.receive(input.byte() & 1 == 0 ? .failed : .interrupted, of: handle(&input))
        case 6:
            let choices = input.byte()
            try cluster.completeList(
                choices & 1 == 0 ? .everyVolume : .unhealthyVolumes,
                confirming: choices & 2 == 0 ? nil : choices & 4 == 0 ? .notFound : .failed
            )
        case 7: try cluster.breakList()
        case 8: cluster.advance(.seconds(60 * Int(input.byte())))
        case 9: try cluster.reportAll(.reported)
        case 10: try cluster.reportAll(outcome(&input))
        default: cluster.change(input.byte())
        }
    }

    private static func handle(_ input: inout FuzzInput) -> String {
        MonitoredCluster.handles[input.number(below: MonitoredCluster.handles.count)]
    }

    /// How a report fails.
    static func outcome(_ input: inout FuzzInput) -> ReportOutcome {
        switch input.number(below: 7) {
        case 0: .refused
        case 1: .unreachable
        case 2: .failed(RequestFailure(retryAfter: .seconds(Int(input.byte()))))
        case 3, 4: .failed(RequestFailure(isUncertain: true))
        case 5: .failed(RequestFailure(isForbidden: true))
        default: .gone
        }
    }
}

// MARK: Replies, as the client and the monitor decode them

extension DriverReplies {
    /// An entry of a page; nil for an entry without health.
    typealias Listed = (handle: String, report: VolumeHealthReport?)

    /// nil when the bytes are malformed.
    private static func reports(ofVolumes bytes: [UInt8]) throws(InvariantViolation) -> [Listed]? {
        try decoding { () throws(CSIError) in
            try volumes(DriverVolume.self, bytes, CSIMethodName.listVolumes).map { ($0.id, VolumeHealthReport($0)) }
        }
    }

    private static func reports(ofHealth bytes: [UInt8]) throws(InvariantViolation) -> [Listed]? {
        try decoding { () throws(CSIError) in
            try volumes(DriverVolumeHealth.self, bytes, CSIMethodName.controllerListVolumeHealth)
                .map { ($0.id, VolumeHealthReport($0) { _ in }) }
        }
    }

    private static func result(ofVolume bytes: [UInt8], _ handle: String) throws(InvariantViolation) -> ProbeResult {
        let result = try decoding { () throws(CSIError) in
            let volume = try DriverVolume.decode(reply: bytes, requestedID: handle).volume
            return VolumeHealthReport(volume).map(ProbeResult.report) ?? .withoutHealth
        }
        return result ?? .failed
    }

    private static func result(ofHealth bytes: [UInt8], _ handle: String) throws(InvariantViolation) -> ProbeResult {
        let result = try decoding { () throws(CSIError) in
            let health = try DriverVolumeHealth(reply: bytes, requestedID: handle)
            return ProbeResult.report(VolumeHealthReport(health) { _ in })
        }
        return result ?? .failed
    }

    /// As the client's iterator decodes a page.
    private static func volumes<Item: DriverListItem>(
        _: Item.Type,
        _ bytes: [UInt8],
        _ method: String
    ) throws(CSIError) -> [Item] {
        var page = try DriverPage<Item>(bytes, method: method)
        var items: [Item] = []
        while let part = try page.next() { items += part.items }
        return items
    }

    /// nil when the bytes are malformed.
    static func decoding<Result>(
        _ decode: () throws(CSIError) -> Result
    ) throws(InvariantViolation) -> Result? {
        do throws(CSIError) {
            return try decode()
        } catch {
            try require(error.code == .invalidResponse, "the error for a malformed reply is \(error.code)")
            try require(error.message.utf8.count < 2000, "an error has \(error.message.utf8.count) bytes")
            return nil
        }
    }
}
