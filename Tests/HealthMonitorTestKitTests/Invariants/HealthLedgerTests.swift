// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

/// A checker that cannot fail checks nothing: each promise is broken here once, and kept.
struct HealthLedgerTests {
    var ledger = HealthLedger()
    var revision = 0

    init() {
        ledger.hold(nil, claimUID: "1", name: "claim", at: .zero)
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

    /// The claim is told something by a new event, or by a raised count of one that is there.
    mutating func tell(_ text: String?, event: String? = nil, count: Int64 = 1, at seconds: Int, served: Int? = 201) {
        let name = event ?? text ?? "well"
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

    @Test mutating func aLifeInOrderBreaksNothing() {
        ledger.hold("broken", claimUID: "1", name: "claim", at: .seconds(10))
        tell("broken", at: 12)
        tell("broken", count: 2, at: 12 + 1800)
        ledger.hold(nil, claimUID: "1", name: "claim", at: .seconds(2000))
        tell(nil, at: 2005)
        ledger.hold("broken", claimUID: "1", name: "claim", at: .seconds(3000))
        tell("broken", count: 3, at: 3001)
        #expect(promises == [])
        #expect(ledger.untold(at: .seconds(4000)) == [])
        #expect(ledger.tellings == 4)
    }

    @Test mutating func a_whatIsNotToldIsMissed() {
        ledger.hold("broken", claimUID: "1", name: "claim", at: .seconds(10))
        #expect(ledger.untold(at: .seconds(15), after: .seconds(20)) == [])
        #expect(ledger.untold(at: .seconds(30), after: .seconds(20)).map(\.promise) == ["a"])
        // Refused by the server, or never there: not told.
        tell("broken", at: 31, served: 403)
        tell("broken", at: 32, served: nil)
        #expect(ledger.untold(at: .seconds(40)).map(\.promise) == ["a"])
        tell("broken", at: 41)
        #expect(ledger.untold(at: .seconds(50)) == [])
    }

    @Test mutating func b_aTransitionThatIsToldTwiceIsSeen() {
        ledger.hold("broken", claimUID: "1", name: "claim", at: .seconds(10))
        tell("broken", at: 12)
        tell("broken", count: 2, at: 30)
        #expect(promises == ["b"])
    }

    @Test mutating func b_twoEventsThatSayTheSameAreSeen() {
        ledger.hold("broken", claimUID: "1", name: "claim", at: .seconds(10))
        tell("broken", event: "one", at: 12)
        ledger.hold(nil, claimUID: "1", name: "claim", at: .seconds(20))
        ledger.hold("broken", claimUID: "1", name: "claim", at: .seconds(30))
        tell("broken", event: "another", at: 31)
        #expect(promises == ["b"])
    }

    @Test mutating func c_aRecoveryThatIsNotToldOrToldTwiceIsSeen() {
        ledger.hold("broken", claimUID: "1", name: "claim", at: .seconds(10))
        tell("broken", at: 12)
        ledger.hold(nil, claimUID: "1", name: "claim", at: .seconds(20))
        #expect(ledger.untold(at: .seconds(30)).map(\.promise) == ["c"])
        tell(nil, at: 31)
        #expect(ledger.untold(at: .seconds(40)) == [])
        tell(nil, count: 2, at: 50)
        #expect(promises == ["c"])
    }

    @Test mutating func d_whoAsksWithoutTheLeaseIsSeen() {
        let lease: JSONValue = ["spec": ["holderIdentity": "pod-0"]]
        write(.create, "leases", at: 1, lease)
        ledger.probe(by: "pod-0", at: .seconds(2))
        #expect(promises == [])
        ledger.probe(by: "pod-1", at: .seconds(3))
        #expect(promises == ["d"])
        write(.update, "leases", name: "lease", at: 4, served: 200, ["spec": ["holderIdentity": ""]])
        ledger.probe(by: "pod-0", at: .seconds(5))
        #expect(promises == ["d", "d"])
    }

    @Test mutating func e_writesAreCounted() {
        write(.patch, "persistentvolumeclaims", name: "claim", at: 1, served: 200, ["status": [:]])
        #expect(ledger.writes == 0)
        var request = APIRequest(verb: .patch, resource: "persistentvolumeclaims", namespace: "default", name: "claim")
        request.subresource = "status"
        ledger.record(RequestRecord(request: request, code: 200, served: 200), at: .seconds(1))
        #expect(ledger.writes == 1)
    }

    @Test mutating func f_anErrorThatIsToldAsHealthIsSeen() {
        ledger.hold("broken", claimUID: "1", name: "claim", at: .seconds(10))
        tell("broken", at: 12)
        tell(nil, at: 15)
        #expect(promises.contains("f"))
    }

    @Test mutating func f_healthOfAnEarlierTimeIsNoHealth() {
        ledger.hold("broken", claimUID: "1", name: "claim", at: .seconds(10))
        ledger.hold(nil, claimUID: "1", name: "claim", at: .seconds(20))
        ledger.hold("broken", claimUID: "1", name: "claim", at: .seconds(30))
        tell("broken", at: 35)
        tell(nil, at: 40)
        #expect(promises == ["f"])
    }

    @Test mutating func f_whatWasNeverSoIsSeen() {
        tell("invented", at: 5)
        #expect(promises == ["f"])
    }

    @Test mutating func whatTheServerLostMayBeToldAgain() {
        let backup = ledger
        ledger.hold("broken", claimUID: "1", name: "claim", at: .seconds(10))
        tell("broken", at: 12)
        ledger.restore(to: backup, at: .seconds(15))
        tell("broken", at: 20)
        #expect(promises == [])
        tell("broken", count: 2, at: 25)
        #expect(promises == ["b"])
    }
}
