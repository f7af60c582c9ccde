// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import FoundationXML
import HealthMonitorTestKit
import Testing

@testable import DriverCheck

@Suite struct ReportTests {
    private static let problem = Problem("the reason is <&\">\u{1}]]>", sent: "ListVolumes", received: "OK\u{0}")

    private static let report: CheckReport = {
        var report = CheckReport(side: .controller)
        report.driver = PluginInfo(name: "a\"<b>.example", vendorVersion: "v1")
        report.results = [
            CheckResult(.pluginName, .deviated([problem], more: 2)),
            CheckResult(.camelCase, .deviated([problem], more: 0)),
            CheckResult(.vendorVersion, .passed(nil)),
            CheckResult(.latency, .passed("p50 1ms")),
            CheckResult(.created, .skipped("requires --create-volume")),
        ]
        return report
    }()

    @Test func `JUnit's XML can be parsed, and has failures for errors alone`() throws {
        let reader = JUnitReader()
        let parser = XMLParser(data: Data(Self.report.junit.utf8))
        parser.delegate = reader
        #expect(parser.parse(), "\(Self.report.junit)")
        #expect(
            reader.suite == ["tests": "5", "failures": "1", "errors": "0", "skipped": "1", "name": reader.suiteName]
        )
        #expect(reader.suiteName == "csi-health-monitor check controller a\"<b>.example")
        #expect(reader.elements["testcase"] == 5)
        #expect(reader.elements["failure"] == 1)
        #expect(reader.elements["skipped"] == 1)
        #expect(reader.elements["error"] == nil)
        #expect(reader.elements["system-out"] == 2)
    }

    @Test func `JUnit's XML of a check that could not run has an error`() {
        let reader = JUnitReader()
        let parser = XMLParser(data: Data(CheckReport(side: .node, problem: "no socket").junit.utf8))
        parser.delegate = reader
        #expect(parser.parse())
        #expect(reader.elements["error"] == 1)
        #expect(reader.suite["errors"] == "1")
        #expect(reader.suite["tests"] == "1")
    }

    @Test func `the exit code is 1 for errors, 2 if the check could not run, and 0 with warnings`() {
        var report = Self.report
        #expect(report.exitCode == 1)
        report.results.removeFirst()
        #expect(report.exitCode == 0)
        report.problem = "no socket"
        #expect(report.exitCode == 2)
        report.problem = nil
        report.leftover = "a volume"
        #expect(report.exitCode == 1)
    }

    @Test func `a check with errors says why it is incomplete`() {
        var report = Self.report
        report.problem = "--volume-id \"a\" is not found"
        #expect(report.exitCode == 1)
        #expect(report.text.contains("INCOMPLETE: --volume-id \"a\" is not found\n"))
        #expect(report.text.hasSuffix("verdict: fail\n"))
    }

    @Test func `the text names what was found, what was sent and received, and what to do`() {
        let text = Self.report.text
        #expect(text.contains("ERROR    H001  "))
        #expect(text.contains("WARNING  H053  "))
        #expect(text.contains("sent:     ListVolumes\n"))
        #expect(text.contains("to do:    \(Check.pluginName.definition.advice)\n"))
        #expect(text.contains("and 2 more\n"))
        #expect(text.contains("skipped  H070  "))
        #expect(text.contains("1 error, 1 warning, 0 infos, 2 passed, 1 skipped\n"))
        #expect(text.hasSuffix("verdict: fail\n"))
    }

    @Test(arguments: [
        ([3, 11, 12], "ListVolumes", "1 call of ListVolumes every 5m", "0.2"),
        ([16, 17], "ControllerListVolumeHealth", "1 call of ControllerListVolumeHealth every 5m", "0.2"),
        ([11, 12], "ControllerGetVolume", "one call of ControllerGetVolume for each volume every 1m", "1000"),
        ([16], "ControllerGetVolumeHealth", "one call of ControllerGetVolumeHealth for each volume", "1000"),
    ])
    func `the plan has the monitor's strategy and its calls`(
        capabilities: [Int],
        strategy: String,
        calls: String,
        rate: String
    ) {
        let recording = DriverRecording(
            info: Exchange(method: "", request: "", outcome: .undecodable(""), received: "", duration: .zero),
            capabilities: Exchange(method: "", request: "", outcome: .reply([]), received: "", duration: .zero)
        )
        let plan = MonitorPlan(recording, Capabilities(capabilities, side: .controller), [])
        #expect(plan.strategy.contains(strategy))
        #expect(plan.calls.contains(calls))
        #expect(plan.rate == rate)
        #expect(plan.volumes == 1000)
        #expect(!plan.blindSpots.isEmpty)
    }
}

/// Counts elements.
private final class JUnitReader: NSObject, XMLParserDelegate {
    var elements: [String: Int] = [:]
    var suite: [String: String] = [:]
    var suiteName: String { suite["name"] ?? "" }

    func parser(
        _ parser: XMLParser,
        didStartElement name: String,
        namespaceURI: String?,
        qualifiedName: String?,
        attributes: [String: String]
    ) {
        elements[name, default: 0] += 1
        if name == "testsuite" { suite = attributes }
    }
}
