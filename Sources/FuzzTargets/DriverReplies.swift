// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import CSISpec
import ControllerCore
import ControllerMonitor
import HealthCore
import HealthRuntime

/// The input: a script of what the driver answers, how attemptID goes and what happens in the cluster, one after the
/// other: a byte that says what, and what it needs.
///
/// The world knows what every claim was reported, and checks each pendingReport against it.
enum DriverReplies {
    /// Beyond this many steps an input shows nothing that a shorter one does not.
    private static let maximumSteps = 200

    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        var world = MonitoredWorld()
        for _ in 0..<maximumSteps where !input.isEmpty {
            try step(input.number(below: 12), &input, &world)
        }
        world.advance(.seconds(7200))
        try world.reportAll(.reported)
    }

    private static func step(
        _ step: Int,
        _ input: inout FuzzInput,
        _ world: inout MonitoredWorld
    ) throws(InvariantViolation) {
        switch step {
        case 0: try world.list(reports(ofVolumes: input.block()))
        case 1: try world.list(reports(ofHealth: input.block()))
        case 2:
            let handle = handle(&input)
            try world.answer(answer(ofVolume: input.block(), handle), of: handle)
        case 3:
            let handle = handle(&input)
            try world.answer(answer(ofHealth: input.block(), handle), of: handle)
        case 4: try world.answer(.notFound, of: handle(&input))
        case 5: try world.answer(input.byte() & 1 == 0 ? .failed : .interrupted, of: handle(&input))
        case 6:
            let choices = input.byte()
            try world.completeList(
                choices & 1 == 0 ? .everyVolume : .unhealthyVolumes,
                confirming: choices & 2 == 0 ? nil : choices & 4 == 0 ? .notFound : .failed
            )
        case 7: try world.breakList()
        case 8: world.advance(.seconds(60 * Int(input.byte())))
        case 9: try world.reportAll(.reported)
        case 10: try world.reportAll(outcome(&input))
        default: world.change(input.byte())
        }
    }

    private static func handle(_ input: inout FuzzInput) -> String {
        MonitoredWorld.handles[input.number(below: MonitoredWorld.handles.count)]
    }

    private static func outcome(_ input: inout FuzzInput) -> ReportOutcome {
        switch input.number(below: 7) {
        case 0: .refused
        case 1: .unreachable
        case 2: .failed(RequestFailure(retryAfter: .seconds(Int(input.byte()))))
        case 3: .failed(RequestFailure(isUncertain: true))
        case 4: .unanswered
        case 5: .failed(RequestFailure(isForbidden: true))
        default: .gone
        }
    }
}

// MARK: Replies, as the client and the monitor read them

extension DriverReplies {
    /// What a page says of each volume; nil: nothing of its health.
    typealias Listed = (handle: String, report: VolumeHealthReport?)

    /// nil when the bytes are no page.
    private static func reports(ofVolumes bytes: [UInt8]) throws(InvariantViolation) -> [Listed]? {
        try reading { () throws(CSIError) in
            try volumes(DriverVolume.self, bytes, CSIMethodName.listVolumes).map { ($0.id, VolumeHealthReport($0)) }
        }
    }

    private static func reports(ofHealth bytes: [UInt8]) throws(InvariantViolation) -> [Listed]? {
        try reading { () throws(CSIError) in
            try volumes(DriverVolumeHealth.self, bytes, CSIMethodName.controllerListVolumeHealth)
                .map { ($0.id, VolumeHealthReport($0) { _ in }) }
        }
    }

    private static func answer(ofVolume bytes: [UInt8], _ handle: String) throws(InvariantViolation) -> ProbeAnswer {
        let answer = try reading { () throws(CSIError) in
            let volume = try DriverVolume.read(reply: bytes, askedFor: handle).volume
            return VolumeHealthReport(volume).map(ProbeAnswer.report) ?? .withoutHealth
        }
        return answer ?? .failed
    }

    private static func answer(ofHealth bytes: [UInt8], _ handle: String) throws(InvariantViolation) -> ProbeAnswer {
        let answer = try reading { () throws(CSIError) in
            let health = try DriverVolumeHealth(reply: bytes, askedFor: handle)
            return ProbeAnswer.report(VolumeHealthReport(health) { _ in })
        }
        return answer ?? .failed
    }

    /// As the client's iterator reads a page.
    private static func volumes<Item: DriverReport>(
        _: Item.Type,
        _ bytes: [UInt8],
        _ method: String
    ) throws(CSIError) -> [Item] {
        var page = try DriverPage<Item>(bytes, method: method)
        var items: [Item] = []
        while let part = try page.next() { items += part.items }
        return items
    }

    private static func reading<Answer>(
        _ read: () throws(CSIError) -> Answer
    ) throws(InvariantViolation) -> Answer? {
        do throws(CSIError) {
            return try read()
        } catch {
            try require(error.code == .invalidResponse, "a bad reply is \(error.code)")
            try require(error.message.utf8.count < 2000, "a bad reply is reported in \(error.message.utf8.count) bytes")
            return nil
        }
    }
}
