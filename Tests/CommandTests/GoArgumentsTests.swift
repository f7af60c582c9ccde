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
        // The next argument is the value, even if it looks like a flag.
        (["--x", "--yes"], ["--x=--yes"]),
        (["--x", "-5"], ["--x=-5"]),
        (["--x", "--"], ["--x=--"]),
        // ArgumentParser reports the missing value.
        (["--x"], ["--x"]),
        (["-h"], ["--help"]),
        (["-help"], ["--help"]),
        (["--help"], ["--help"]),
        (["--x=v", "--"], ["--x=v"]),
    ])
    func `arguments are parsed as Go parses them`(arguments: [String], expected: [String]) throws {
        #expect(try normalized(arguments) == expected)
    }

    @Test(arguments: [
        (["v"], "v"), (["--x=v", "v"], "v"), (["-"], "-"), ([""], ""), (["--", "--x=v"], "--x=v"),
        (["--yes", "false"], "false"),
    ])
    func `an argument that is not a flag is refused`(arguments: [String], stray: String) {
        #expect(throws: UsageError(message: "unexpected argument \"\(stray)\"")) { try normalized(arguments) }
    }

    @Test(arguments: ["---x", "-=v", "--=v"])
    func `a flag without a name is refused`(argument: String) {
        #expect(throws: UsageError(message: "invalid flag \"\(argument)\": write --name=value")) {
            try normalized([argument])
        }
    }
}
