// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

/// The promises for volumes of pods: each is broken here once, and kept once.
struct PodLedgerTests {
    static let broken = "Volume data (claim csi-pvc): The volume isn't mounted"
    static let recovered = "Volume data (claim csi-pvc): The Volume returns to the healthy state"
    var ledger = HealthLedger()
    var promises: [String] { ledger.violations.map(\.promise) }

    mutating func set(_ text: String?, at seconds: Int) {
        ledger.setHealth(text, podUID: "p", volume: "data", name: "web-0", at: .seconds(seconds))
    }

    /// A new event, or a rise of an event's count.
    mutating func report(_ message: String, count: Int64 = 1, uid: String = "p", at seconds: Int) {
        let isNormal = message == Self.recovered
        let name = isNormal ? "web-0.normal" : "web-0.abnormal"
        var request = APIRequest(
            verb: count == 1 ? .create : .patch,
            resource: "events",
            namespace: "default",
            name: count == 1 ? "" : name
        )
        request.body =
            if count == 1 {
                [
                    "metadata": ["name": .string(name)], "message": .string(message), "count": 1,
                    "involvedObject": ["kind": "Pod", "uid": .string(uid)],
                    "reason": isNormal ? "VolumeConditionNormal" : "VolumeConditionAbnormal",
                ]
            } else {
                ["message": .string(message), "count": .integer(count)]
            }
        ledger.record(RequestRecord(request: request, code: 201, served: 201), at: .seconds(seconds))
    }

    @Test mutating func `correct reports break no promise`() {
        set(nil, at: 1)
        set(Self.broken, at: 10)
        #expect(ledger.unreported(at: .seconds(11)).map(\.promise) == ["a"])
        report(Self.broken, at: 12)
        set(nil, at: 20)
        #expect(ledger.unreported(at: .seconds(21)).map(\.promise) == ["c"])
        report(Self.recovered, at: 25)
        let other = "Volume data (claim csi-pvc): DataLoss (BadBlocks): 7 blocks"
        set(other, at: 30)
        // The event of another condition has the same name.
        report(other, count: 2, at: 31)
        ledger.end(podUID: "p", at: .seconds(40))
        #expect(promises == [])
        #expect(ledger.unreported(at: .seconds(50)) == [])
    }

    @Test(.tags(.promiseF)) mutating func `a report before the pod has started is detected`() {
        report(Self.broken, at: 1)
        #expect(promises == ["f"])
    }

    @Test(.tags(.promiseF)) mutating func `a report on another volume of the pod is detected`() {
        set(Self.broken, at: 1)
        report("Volume scratch: The volume isn't mounted", at: 2)
        #expect(promises == ["f"])
        #expect(ledger.unreported(at: .seconds(3)).map(\.promise) == ["a"])
    }

    @Test(.tags(.promiseF)) mutating func `a condition that began after the pod's end must not be reported`() {
        set(nil, at: 1)
        ledger.end(podUID: "p", at: .seconds(10))
        report(Self.broken, at: 12)
        #expect(promises == ["f"])
    }

    @Test(.tags(.promiseC)) mutating func `a recovery of a pod that has ended is detected`() {
        set(Self.broken, at: 1)
        report(Self.broken, at: 2)
        ledger.end(podUID: "p", at: .seconds(10))
        report(Self.recovered, at: 12)
        #expect(promises.contains("f"))
    }

    @Test(.tags(.promiseA)) mutating func `a condition of a pod that has ended need not be reported`() {
        set(Self.broken, at: 1)
        ledger.end(podUID: "p", at: .seconds(2))
        #expect(ledger.unreported(at: .seconds(100)) == [])
        report(Self.broken, at: 3)
        #expect(promises == [])
        report(Self.broken, count: 2, at: 4000)
        #expect(promises == ["b"])
    }

    @Test(.tags(.promiseF)) mutating func `a report on the pod that was replaced is detected`() {
        set(nil, at: 1)
        ledger.end(podUID: "p", at: .seconds(2))
        ledger.setHealth(Self.broken, podUID: "q", volume: "data", name: "web-0", at: .seconds(3))
        report(Self.broken, uid: "p", at: 4)
        #expect(promises == ["f"])
        #expect(ledger.unreported(at: .seconds(5)).map(\.promise) == ["a"])
    }

    @Test(.tags(.promiseC)) mutating func `a recovery may be missing only when the server lost the condition's report`()
    {
        set(nil, at: 1)
        let healthy = ledger
        set(Self.broken, at: 10)
        report(Self.broken, at: 12)
        let unhealthy = ledger
        for (backup, missing) in [(healthy, [String]()), (unhealthy, ["c"])] {
            var restored = self
            restored.ledger.restore(to: backup, at: .seconds(15))
            #expect(restored.ledger.unreported(at: .seconds(16)) == [])
            restored.set(nil, at: 20)
            #expect(restored.ledger.unreported(at: .seconds(30)).map(\.promise) == missing)
        }
    }

    @Test(.tags(.promiseE)) mutating func `a write of a pod's status is counted`() {
        var request = APIRequest(verb: .patch, resource: "pods", namespace: "default", name: "web-0")
        request.subresource = "status"
        ledger.record(RequestRecord(request: request, code: 200, served: 200), at: .seconds(1))
        #expect(ledger.writes == 1)
    }
}
