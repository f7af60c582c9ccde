// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import CSISpec
import HealthCore
import HealthRuntime
import NodeCore
import NodeMonitor
import SwiftProtobuf

/// The input: a sequence of replies of the node's drivers, failed calls, outcomes of reports and changes of the node.
/// Each step is a byte that selects it, and its arguments.
///
/// ``ProbedNode`` keeps what was reported on every volume, and checks each pending report against it.
enum NodeReplies {
    /// Longer sequences find nothing that shorter ones do not.
    private static let maximumSteps = 200

    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        var node = ProbedNode()
        for _ in 0..<maximumSteps where !input.isEmpty {
            switch input.number(below: 8) {
            case 0:
                let reply = input.block()
                try node.probe(ProbedNode.legacyDriver) { _ throws(InvariantViolation) in try outcome(stats: reply) }
            case 1:
                let reply = input.block()
                try node.probe(ProbedNode.healthDriver) { probe throws(InvariantViolation) in
                    try outcome(health: reply, of: probe)
                }
            case 2: try node.probeStorage(try storageOutcome(input.block()))
            case 3:
                let (driver, failure) = (ProbedNode.drivers[input.number(below: 2)], failure(&input))
                try node.probe(driver) { _ throws(InvariantViolation) in .failed(failure) }
            case 4: node.advance(.seconds(Int(input.byte())))
            case 5: try node.reportAll(.reported)
            case 6: try node.reportAll(DriverReplies.outcome(&input))
            default: node.change(input.byte())
            }
        }
        node.advance(.seconds(7200))
        try node.reportAll(.reported)
        try node.requireReported()
    }

    private static func failure(_ input: inout FuzzInput) -> NodeProbeFailure {
        let failures: [NodeProbeFailure] = [
            .notFound, .invalidArgument, .internal, .deadlineExceeded, .aborted, .unimplemented, .unavailable, .other,
        ]
        return failures[input.number(below: failures.count)]
    }

    // MARK: Replies, as the client and the monitor decode them

    private static func outcome(stats reply: [UInt8]) throws(InvariantViolation) -> NodeProbeOutcome {
        let condition = try DriverReplies.decoding { () throws(CSIError) in
            try DriverVolume.Condition.decode(nodeReply: reply)
        }
        if let whole = try? CSINodeGetVolumeStatsResponse(serializedBytes: reply), let condition {
            let isSame =
                whole.hasVolumeCondition == (condition != nil)
                && whole.volumeCondition.abnormal == (condition?.isAbnormal ?? false)
                && whole.volumeCondition.message == (condition?.message ?? "")
            try require(isSame, "the reader's condition differs: \(condition.debugDescription), \(whole)")
        }
        guard let condition else { return .failed(.other) }
        guard let condition else { return .noCondition }
        let conditions = condition.isAbnormal ? [VolumeHealthCondition(abnormalMessage: condition.message)] : []
        return .health(VolumeHealthReport(volumeHandle: "", conditions: conditions))
    }

    private static func outcome(
        health reply: [UInt8],
        of probe: NodeProbe
    ) throws(InvariantViolation) -> NodeProbeOutcome {
        let health = try DriverReplies.decoding { () throws(CSIError) in
            let method = CSIMethodName.nodeGetVolumeHealth
            return try DriverVolumeHealth(reply: reply, requestedID: probe.volumeHandle, method: method)
        }
        guard let health else { return .failed(.other) }
        try require(health.id == probe.volumeHandle, "the health of \(health.id) counts for \(probe.volumeHandle)")
        return .health(VolumeHealthReport(health) { _ in })
    }

    private static func storageOutcome(_ reply: [UInt8]) throws(InvariantViolation) -> StorageProbeOutcome {
        let problems = try DriverReplies.decoding { () throws(CSIError) in
            try DriverStorageHealth.decode(reply: reply).problems
        }
        guard let problems else { return .failed(.other) }
        try require(problems.count <= 100, "\(problems.count) problems of the storage")
        let keys = problems.map { problem in
            var key = problem
            key.message = ""
            return key
        }
        try require(Set(keys).count == keys.count, "a problem of the storage is reported twice: \(problems)")
        return .health(StorageHealth(problems))
    }
}
