// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import Flags

@Suite struct GoArgumentsTests {
    private func normalized(_ arguments: [String]) throws -> [String] {
        try GoArguments.normalized(arguments, booleans: ["yes"])
    }

    @Test(arguments: [
        ([], []),
        (["-x=v", "--x=v"], ["--x=v", "--x=v"]),
        (["-x", "v", "--x", "v"], ["--x=v", "--x=v"]),
        (["-yes", "--yes", "--yes=false"], ["--yes=true", "--yes=true", "--yes=false"]),
        (["--x="], ["--x", ""]),
        (["--x", ""], ["--x", ""]),
        (["--x=a=b"], ["--x=a=b"]),
        (["--x", "a=b"], ["--x=a=b"]),
        // A value is whatever comes next.
        (["--x", "--yes"], ["--x=--yes"]),
        (["--x", "-5"], ["--x=-5"]),
        (["--x", "--"], ["--x=--"]),
        // The parser reports what is missing.
        (["--x"], ["--x"]),
        (["-h"], ["--help"]),
        (["-help"], ["--help"]),
        (["--help"], ["--help"]),
        (["--x=v", "--"], ["--x=v"]),
    ])
    func `reads what go reads`(arguments: [String], expected: [String]) throws {
        #expect(try normalized(arguments) == expected)
    }

    @Test(arguments: [
        (["v"], "v"), (["--x=v", "v"], "v"), (["-"], "-"), ([""], ""), (["--", "--x=v"], "--x=v"),
        (["--yes", "false"], "false"),
    ])
    func `refuses what is no flag`(arguments: [String], stray: String) {
        #expect(throws: UsageError(message: "unexpected argument \"\(stray)\"")) { try normalized(arguments) }
    }

    @Test(arguments: ["---x", "-=v", "--=v"])
    func `refuses a flag without a name`(argument: String) {
        #expect(throws: UsageError(message: "\"\(argument)\" is not a flag; write --name=value")) {
            try normalized([argument])
        }
    }
}
