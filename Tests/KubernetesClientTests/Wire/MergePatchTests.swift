// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import KubernetesClient

@Suite struct MergePatchTests {
    @Test func `literals may be nested`() {
        let patch: MergePatch = [
            "metadata": ["resourceVersion": .string("7"), "labels": ["a": nil]], "count": 2, "on": true,
            "list": ["x", -1, []],
        ]
        #expect(
            String(decoding: patch.json, as: UTF8.self)
                == #"{"metadata":{"resourceVersion":"7","labels":{"a":null}},"count":2,"on":true,"list":["x",-1,[]]}"#
        )
    }

    @Test func `a patch may be empty`() {
        let patch: MergePatch = [:]
        #expect(patch.json == Array("{}".utf8))
    }

    /// Another JSON decoder reads back every string.
    @Test func `strings are escaped`() throws {
        let text = (UInt8(0)...0x7F).map { String(Unicode.Scalar($0)) }.joined() + "é\u{2028}\u{FFFF}👩‍💻\r\n\"\\/"
        let patch: MergePatch = [text: .string(text)]
        let decoded = try JSONDecoder().decode([String: String].self, from: Data(patch.json))
        #expect(decoded == [text: text])
    }
}
