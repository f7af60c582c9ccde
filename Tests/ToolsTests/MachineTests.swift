// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import tools

@Suite struct MachineTests {
    @Test func `fields are found by their names`() {
        let text = "processor\t: 0\nmodel name\t: Z80 @ 4 MHz: fast\nmodel name\t: other\n"
        #expect(Machine.field("model name", of: text, separator: ":") == "Z80 @ 4 MHz: fast")
        #expect(Machine.field("PRETTY_NAME", of: "NAME=x\nPRETTY_NAME=\"Debian 12\"\n", separator: "=") == "Debian 12")
        #expect(Machine.field("flags", of: text, separator: ":") == nil)
    }

    @Test func `only the libraries that the sidecar links are listed`() {
        let status = """
            Package: bash
            Status: install ok installed
            Version: 5.2

            Package: libcurl4
            Version: 7.88.1-10

            Package: libgrpc-dev
            Multi-Arch: same
            Version: 1.51.1-3+b1
            """
        #expect(Machine.packages(in: status) == ["libcurl4": "7.88.1-10", "libgrpc-dev": "1.51.1-3+b1"])
    }

    @Test func `the compiler's version is parsed`() {
        let text = "Swift version 6.3.1 (swift-6.3.1-RELEASE)\nTarget: x86_64-unknown-linux-gnu\n"
        #expect(Machine.swiftVersion(in: text) == "6.3.1")
        #expect(Machine.swiftVersion(in: "command not found") == "unknown")
    }

    @Test func `the description is one line`() {
        #expect(BenchmarkReportTests.machine.text == "1 cores (Z80), 1 GiB, Linux 2.2; CP/M; libc6 2.36, swift 6.3.1")
    }
}
