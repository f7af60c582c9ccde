// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

/// A checker that cannot fail is worthless: each promise is broken here once, and kept once.
struct HealthLedgerTests {
    var ledger = HealthLedger()
    var revision = 0

    init() {
        ledger.setHealth(nil, claimUID: "1", name: "claim", at: .zero)
    }

    var promises: [String] { ledger.violations.map(\.promise) }

    /// A write as the API server's journal has it.
    mutating func write(
        _ verb: APIRequest.Verb,
        _ resource: String,
        name: String = "",
        at seconds: Int,
        served: Int? = 201,
        _ body: JSONValue
    ) {
        var request = APIRequest(verb: verb, resource: resource, namespace: "default", name: name)
        request.body = body
        ledger.record(RequestRecord(request: request, code: served, served: served), at: .seconds(seconds))
    }

    /// Reports a text on the claim by a new event, or by raising the count of an existing one.
    mutating func report(_ text: String?, event: String? = nil, count: Int64 = 1, at seconds: Int, served: Int? = 201) {
        let name = event ?? text ?? "healthy"
        if count == 1 {
            write(
                .create,
                "events",
                at: seconds,
                served: served,
                [
                    "metadata": ["name": .string(name)],
                    "involvedObject": ["uid": "1"],
                    "reason": text == nil ? "VolumeConditionNormal" : "VolumeConditionAbnormal",
                    "message": .string(text ?? "The Volume returns to the healthy state"),
                    "count": 1,
                ]
            )
        } else {
            write(.patch, "events", name: name, at: seconds, served: served, ["count": .integer(count)])
        }
    }

    @Test mutating func `correct reports break no promise`() {
        ledger.setHealth("broken", claimUID: "1", name: "claim", at: .seconds(10))
        report("broken", at: 12)
        report("broken", count: 2, at: 12 + 1800)
        ledger.setHealth(nil, claimUID: "1", name: "claim", at: .seconds(2000))
        report(nil, at: 2005)
        ledger.setHealth("broken", claimUID: "1", name: "claim", at: .seconds(3000))
        report("broken", count: 3, at: 3001)
        #expect(promises == [])
        #expect(ledger.unreported(at: .seconds(4000)) == [])
        #expect(ledger.reports == 4)
    }

    @Test(.tags(.promiseA)) mutating func `a missing report is detected`() {
        ledger.setHealth("broken", claimUID: "1", name: "claim", at: .seconds(10))
        #expect(ledger.unreported(at: .seconds(15), after: .seconds(20)) == [])
        #expect(ledger.unreported(at: .seconds(30), after: .seconds(20)).map(\.promise) == ["a"])
        // A write that the server refused or never served is not a report.
        report("broken", at: 31, served: 403)
        report("broken", at: 32, served: nil)
        #expect(ledger.unreported(at: .seconds(40)).map(\.promise) == ["a"])
        report("broken", at: 41)
        #expect(ledger.unreported(at: .seconds(50)) == [])
    }

    @Test(.tags(.promiseB)) mutating func `a transition that is reported twice is detected`() {
        ledger.setHealth("broken", claimUID: "1", name: "claim", at: .seconds(10))
        report("broken", at: 12)
        report("broken", count: 2, at: 30)
        #expect(promises == ["b"])
    }

    @Test(.tags(.promiseB)) mutating func `duplicate events are detected`() {
        ledger.setHealth("broken", claimUID: "1", name: "claim", at: .seconds(10))
        report("broken", event: "one", at: 12)
        ledger.setHealth(nil, claimUID: "1", name: "claim", at: .seconds(20))
        ledger.setHealth("broken", claimUID: "1", name: "claim", at: .seconds(30))
        report("broken", event: "another", at: 31)
        #expect(promises == ["b"])
    }

    @Test(.tags(.promiseC)) mutating func `a recovery that is not reported, or reported twice, is detected`() {
        ledger.setHealth("broken", claimUID: "1", name: "claim", at: .seconds(10))
        report("broken", at: 12)
        ledger.setHealth(nil, claimUID: "1", name: "claim", at: .seconds(20))
        #expect(ledger.unreported(at: .seconds(30)).map(\.promise) == ["c"])
        report(nil, at: 31)
        #expect(ledger.unreported(at: .seconds(40)) == [])
        report(nil, count: 2, at: 50)
        #expect(promises == ["c"])
    }

    @Test(.tags(.promiseD)) mutating func `a probe without the lease is detected`() {
        let lease: JSONValue = ["spec": ["holderIdentity": "pod-0"]]
        write(.create, "leases", at: 1, lease)
        ledger.recordProbe(by: "pod-0", at: .seconds(2))
        #expect(promises == [])
        ledger.recordProbe(by: "pod-1", at: .seconds(3))
        #expect(promises == ["d"])
        write(.update, "leases", name: "lease", at: 4, served: 200, ["spec": ["holderIdentity": ""]])
        ledger.recordProbe(by: "pod-0", at: .seconds(5))
        #expect(promises == ["d", "d"])
    }

    @Test(.tags(.promiseE)) mutating func `writes are counted`() {
        write(.patch, "persistentvolumeclaims", name: "claim", at: 1, served: 200, ["status": [:]])
        #expect(ledger.writes == 0)
        var request = APIRequest(verb: .patch, resource: "persistentvolumeclaims", namespace: "default", name: "claim")
        request.subresource = "status"
        ledger.record(RequestRecord(request: request, code: 200, served: 200), at: .seconds(1))
        #expect(ledger.writes == 1)
    }

    @Test(.tags(.promiseF)) mutating func `an error that is reported as health is detected`() {
        ledger.setHealth("broken", claimUID: "1", name: "claim", at: .seconds(10))
        report("broken", at: 12)
        report(nil, at: 15)
        #expect(promises.contains("f"))
    }

    @Test(.tags(.promiseF)) mutating func `health before the last report does not justify a recovery`() {
        ledger.setHealth("broken", claimUID: "1", name: "claim", at: .seconds(10))
        ledger.setHealth(nil, claimUID: "1", name: "claim", at: .seconds(20))
        ledger.setHealth("broken", claimUID: "1", name: "claim", at: .seconds(30))
        report("broken", at: 35)
        report(nil, at: 40)
        #expect(promises == ["f"])
    }

    @Test(.tags(.promiseF)) mutating func `a report that was never true is detected`() {
        report("invented", at: 5)
        #expect(promises == ["f"])
    }

    @Test mutating func `reports that the server lost may be repeated`() {
        let backup = ledger
        ledger.setHealth("broken", claimUID: "1", name: "claim", at: .seconds(10))
        report("broken", at: 12)
        ledger.restore(to: backup, at: .seconds(15))
        report("broken", at: 20)
        #expect(promises == [])
        report("broken", count: 2, at: 25)
        #expect(promises == ["b"])
    }
}
