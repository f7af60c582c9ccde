// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

@Suite struct LabelSelectorTests {
    private static let labels = ["app": "db", "tier": "gold", "empty": ""]

    @Test(arguments: [
        "app=db", "app==db", " app = db ", "app=db,tier=gold", "app!=web", "missing!=x", "app", "!missing",
        "app in (web, db)", "tier notin (silver,bronze)", "missing notin (a)", "app in (db),tier", "empty=", "empty",
        "empty in ()",
    ])
    func `labels match`(selector: String) throws {
        #expect(try LabelSelector(selector).matches(Self.labels))
    }

    @Test(arguments: [
        "app=web", "app=db,tier=silver", "app!=db", "missing", "!app", "missing=", "app in (web)",
        "missing in (a,b)", "app notin (db,web)",
    ])
    func `labels do not match`(selector: String) throws {
        #expect(try !LabelSelector(selector).matches(Self.labels))
    }

    @Test(arguments: [
        "", "=db", "app=db,", "app in db", "app in (db", "app within (db)", "app=db)", "a b", "a=b=c", "!", "in (a)",
        "app in ((a))",
    ])
    func `other texts are refused`(selector: String) {
        #expect(throws: LabelSelector.Invalid.self) { try LabelSelector(selector) }
    }
}
