// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

@Suite struct JSONValueTests {
    @Test(arguments: [
        "null", "true", "false", "0", "1", "-9223372036854775808", "9223372036854775807", "1.5", "\"\"",
        #""a\"b\\c\nd\u0001é🙂""#, "[]", "{}", #"{"a":[1,true,"x",null],"b":{"c":1.25}}"#,
    ])
    func textSurvivesParsingAndWriting(text: String) throws {
        let value = try JSONValue(parsing: Array(text.utf8))
        #expect(value.description == text)
    }

    @Test func `numbers and booleans are distinguished`() throws {
        #expect(try JSONValue(parsing: Array("[1, true, 0, false, 2.5]".utf8)) == [1, true, 0, false, .number(2.5)])
    }

    @Test func `malformed text is refused`() {
        #expect(throws: DecodingError.self) { try JSONValue(parsing: Array("{\"a\":".utf8)) }
    }

    @Test func `paths read, write and remove`() {
        var value: JSONValue = ["metadata": ["name": "x"]]
        value["metadata", "labels", "app"] = "y"
        #expect(value["metadata", "labels", "app"] == "y")
        #expect(value["metadata", "name"]?.string == "x")
        value["metadata", "labels", "app"] = nil
        value["status", "phase"] = nil
        #expect(value == ["metadata": ["name": "x", "labels": [:]]])
        #expect(value["metadata", "name", "deeper"] == nil)
    }
}
