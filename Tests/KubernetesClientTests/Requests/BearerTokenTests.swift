// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import KubernetesClient

@Suite struct BearerTokenTests {
    @Test func `the file is read again after a minute`() async throws {
        try await withTemporaryDirectory { directory in
            let file = "\(directory)/token"
            try write("first\n", to: file)
            let token = BearerToken(.tokenFile(path: file))
            #expect(try token.current(now: .seconds(0)) == "first")
            try write("second", to: file)
            #expect(try token.current(now: .seconds(59)) == "first")
            #expect(try token.current(now: .seconds(60)) == "second")
        }
    }

    @Test func `the last token stays in use while the file is missing`() async throws {
        try await withTemporaryDirectory { directory in
            let file = "\(directory)/token"
            let token = BearerToken(.tokenFile(path: file))
            #expect(throws: KubernetesConfigurationError.self) { try token.current(now: .zero) }
            try write("first", to: file)
            #expect(try token.current(now: .zero) == "first")
            try FileManager.default.removeItem(atPath: file)
            #expect(try token.current(now: .seconds(100)) == "first")
        }
    }

    @Test func `a burst of rejections reads the file once`() async throws {
        try await withTemporaryDirectory { directory in
            let file = "\(directory)/token"
            try write("first", to: file)
            let token = BearerToken(.tokenFile(path: file))
            #expect(try token.current(now: .zero) == "first")
            #expect(token.replacement(for: "first", now: .zero) == nil)
            // Within the burst of rejections, the file is not read again.
            try write("second", to: file)
            #expect(token.replacement(for: "first", now: .milliseconds(999)) == nil)
            #expect(token.replacement(for: "first", now: .seconds(1)) == "second")
            // The rest of the burst, sent with the first token.
            try FileManager.default.removeItem(atPath: file)
            #expect(token.replacement(for: "first", now: .seconds(1)) == "second")
            #expect(try token.current(now: .seconds(1)) == "second")
        }
    }

    @Test func `a token without a file does not change`() throws {
        let token = BearerToken(.token("fixed"))
        #expect(try token.current(now: .zero) == "fixed")
        #expect(token.replacement(for: "fixed", now: .zero) == nil)
        #expect(try BearerToken(.none).current(now: .zero) == nil)
    }

    @Test(arguments: ["", " \n", "two tokens", "tok\u{E9}n"])
    func `a file without a valid token is an error`(_ text: String) async throws {
        try await withTemporaryDirectory { directory in
            try write(text, to: "\(directory)/token")
            let error = #expect(throws: KubernetesConfigurationError.self) {
                try BearerToken(.tokenFile(path: "\(directory)/token")).current(now: .zero)
            }
            #expect(error?.code == .invalid)
        }
    }
}
