// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

@Suite struct SelectorTests {
    static let event: JSONValue = [
        "metadata": ["name": "e", "labels": ["app": "x"]], "type": "Warning", "reportingComponent": "monitor",
        "involvedObject": ["kind": "PersistentVolumeClaim", "uid": "u"],
    ]

    @Test(arguments: [
        ("metadata.name=e", true), ("metadata.name==e", true), ("metadata.name!=e", false),
        ("involvedObject.uid=u,type=Warning", true), ("involvedObject.uid=u,type=Normal", false),
        ("reason=", true), ("reportingComponent=monitor", true), ("source=monitor", true), ("source=other", false),
    ])
    func fields(text: String, matches: Bool) throws {
        #expect(try Selector(.events, fields: text, labels: nil).matches(Self.event) == matches)
    }

    @Test(arguments: [("app=x", true), ("app!=x", false), ("app=y", false), ("other!=y", true)])
    func labels(text: String, matches: Bool) throws {
        #expect(try Selector(.events, fields: nil, labels: text).matches(Self.event) == matches)
    }

    @Test(arguments: ["spec.volumeName=x", "metadata.name"])
    func `unknown fields and other selectors than equality are bad requests`(text: String) {
        let error = #expect(throws: StatusError.self) { try Selector(.events, fields: text, labels: nil) }
        #expect(error?.code == 400)
    }
}
