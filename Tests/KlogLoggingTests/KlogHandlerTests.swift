// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Logging
import Synchronization
import Testing

@testable import KlogLogging

@Suite struct KlogHandlerTests {
    private let time = LogTime(secondsSince1970: 1_713_605_993, nanoseconds: 317_402_900)

    // MARK: Text

    @Test func `a text line has klog's format`() {
        let line = text {
            $0.info("Volume is abnormal", metadata: ["volume": "vol-1", "claim": "default/csi-pvc"], line: 182)
        }
        let process = String(repeating: " ", count: 7 - "\(getpid())".count) + "\(getpid())"
        #expect(
            line == "I\(time.klogTimestamp) \(process) KlogHandlerTests.swift:182] \"Volume is abnormal\""
                + " claim=\"default/csi-pvc\" volume=\"vol-1\"\n"
        )
    }

    @Test(arguments: [
        (Logger.Level.trace, "I"), (.debug, "I"), (.info, "I"), (.notice, "I"), (.warning, "W"), (.error, "E"),
        (.critical, "E"),
    ])
    func `the first letter is the severity`(level: Logger.Level, letter: String) {
        #expect(text { $0.log(level: level, "m") }.prefix(1) == letter)
    }

    @Test func `the error precedes other values in text`() {
        struct Failure: Error, CustomStringConvertible { var description: String { "no \"route\"" } }
        let line = text { $0.error("Failed", error: Failure(), metadata: ["a": "b"]) }
        #expect(line.hasSuffix("] \"Failed\" err=\"no \\\"route\\\"\" a=\"b\"\n"))
    }

    @Test func `numbers and booleans are unquoted, dictionaries are JSON`() {
        let line = text {
            $0.info(
                "m",
                metadata: [
                    "a-number": .stringConvertible(42), "b-bool": .stringConvertible(true),
                    "c-other": .stringConvertible(Duration.seconds(5)), "d-list": ["x\n", "y"],
                    "e-map": ["k": .stringConvertible(1), "j": "v"],
                ]
            )
        }
        #expect(
            line.hasSuffix(
                #"] "m" a-number=42 b-bool=true c-other="5s" d-list=["x\n","y"] e-map={"j":"v","k":1}"# + "\n"
            )
        )
    }

    @Test(arguments: [
        "first\nI0420 09:39:53.317402       1 forged.go:1] \"line\"", "a\rb", "\u{1B}[31mred",
        "\u{2028}\u{85}\u{0B}\u{0C}",
        "nul\u{0}", "\u{202E}backwards",
    ])
    func `no text can forge a line`(hostile: String) {
        let line = text { $0.info("\(hostile)", metadata: ["value": "\(hostile)", "\(hostile)": ["\(hostile)": "x"]]) }
        #expect(line.utf8.filter { $0 < 0x20 } == [0x0A])
        #expect(line.hasSuffix("\n"))
        let json = json { $0.info("\(hostile)", metadata: ["value": "\(hostile)", "\(hostile)": ["\(hostile)": "x"]]) }
        #expect(json.utf8.filter { $0 < 0x20 } == [0x0A])
        #expect(json.hasSuffix("}\n"))
    }

    @Test(arguments: [
        ("plain é 漢 🙂", #""plain é 漢 🙂""#), ("a\"b\\c", #""a\"b\\c""#),
        ("\u{7}\u{8}\u{C}\n\r\t\u{B}", #""\a\b\f\n\r\t\v""#), ("\u{0}\u{1B}\u{7F}", #""\x00\x1b\x7f""#),
        ("\u{A0}\u{200B}\u{2028}\u{AD}", #""\u00a0\u200b\u2028\u00ad""#), ("\u{E000}\u{E0001}", #""\ue000\U000e0001""#),
        ("", #""""#),
    ])
    func `texts are quoted as Go quotes them`(text: String, quoted: String) {
        #expect(Quote.go(text) == quoted)
    }

    // MARK: JSON

    @Test func `a JSON line has component-base's format`() {
        let line = json {
            $0.info("Volume is \"abnormal\"", metadata: ["volume": "v\t1", "count": .stringConvertible(2)], line: 12)
        }
        #expect(
            line == #"{"ts":1713605993317.402,"caller":"KlogLoggingTests/KlogHandlerTests.swift:12","#
                + #""msg":"Volume is \"abnormal\"","v":2,"severity":"info","count":2,"volume":"v\t1"}"# + "\n"
        )
    }

    @Test func `an error has no verbosity in JSON`() {
        struct Failure: Error, CustomStringConvertible { var description: String { "refused" } }
        let line = json { $0.error("Failed", error: Failure(), metadata: ["a": "b"], line: 7) }
        #expect(line.hasSuffix(#":7","msg":"Failed","severity":"error","a":"b","err":"refused"}"# + "\n"))
    }

    @Test(arguments: [(Logger.Level.trace, 5), (.debug, 4), (.info, 2), (.notice, 0), (.warning, 0)])
    func `JSON has the verbosity of the level`(level: Logger.Level, verbosity: Int) {
        #expect(json { $0.log(level: level, "m") }.contains(#""msg":"m","v":\#(verbosity),"#))
    }

    @Test(arguments: [
        (Logger.Level.trace, "info"), (.info, "info"), (.warning, "warning"), (.error, "error"), (.critical, "error"),
    ])
    func `JSON has the severity of the level`(level: Logger.Level, severity: String) {
        #expect(json { $0.log(level: level, "m") }.contains(#","severity":"\#(severity)"}"#))
    }

    @Test func `an error in the metadata is written where the event's error is`() {
        let metadata: Logger.Metadata = ["a": "b", "err": "refused", "z": "y"]
        #expect(text { $0.warning("m", metadata: metadata) }.hasSuffix(#"] "m" err="refused" a="b" z="y""# + "\n"))
        #expect(json { $0.warning("m", metadata: metadata) }.hasSuffix(#","a":"b","z":"y","err":"refused"}"# + "\n"))
    }

    @Test func `a KObj is namespace/name in text and an object in JSON`() {
        let metadata: Logger.Metadata = ["PVC": ["namespace": "shop", "name": "da\"ta"], "other": ["name": "n"]]
        #expect(text { $0.info("m", metadata: metadata) }.hasSuffix(#" PVC="shop/da\"ta" other={"name":"n"}"# + "\n"))
        #expect(
            json { $0.info("m", metadata: metadata) }.contains(#""PVC":{"name":"da\"ta","namespace":"shop"}"#)
        )
    }

    @Test func `numbers keep their type`() throws {
        let metadata: Logger.Metadata = [
            "a": .stringConvertible(0.00001), "b": .stringConvertible(1.5), "c": .stringConvertible(Double.infinity),
            "d": .stringConvertible(Int64.min),
        ]
        let line = json { $0.info("m", metadata: metadata) }
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["a"] as? Double == 0.00001)
        #expect(object["b"] as? Double == 1.5)
        #expect(object["c"] as? String == "inf")
        #expect((object["d"] as? NSNumber)?.int64Value == Int64.min)
        #expect(
            text { $0.info("m", metadata: metadata) }.hasSuffix(
                #" a=1e-05 b=1.5 c="inf" d=-9223372036854775808"# + "\n"
            )
        )
    }

    @Test(arguments: [
        (Duration.zero, "0s"), (.nanoseconds(1), "1ns"), (.nanoseconds(1500), "1.5µs"),
        (.microseconds(17_500), "17.5ms"),
        (.milliseconds(1), "1ms"), (.seconds(1), "1s"), (.milliseconds(1050), "1.05s"), (.seconds(90), "1m30s"),
        (.seconds(3600), "1h0m0s"), (.milliseconds(-2500), "-2.5s"), (.nanoseconds(61_000_000_001), "1m1.000000001s"),
    ])
    func `durations are formatted as Go formats them`(duration: Duration, text: String) {
        #expect(duration.goText == text)
    }

    @Test func `a JSON line is valid JSON with any text`() throws {
        let odd = String(String.UnicodeScalarView((0..<0x300).compactMap { Unicode.Scalar($0) })) + "\u{2028}🙂"
        let line = json { $0.warning("\(odd)", metadata: ["\(odd)": "\(odd)", "list": ["\(odd)"]]) }
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["msg"] as? String == odd)
        #expect(object[odd] as? String == odd)
        #expect(object["list"] as? [String] == [odd])
        #expect((object["ts"] as? NSNumber)?.doubleValue == 1_713_605_993_317.402)
    }

    // MARK: Levels, metadata, time

    @Test(arguments: [
        (-1, Logger.Level.notice), (0, .notice), (1, .notice), (2, .info), (3, .info), (4, .debug), (5, .trace),
        (10, .trace),
    ])
    func `the verbosity determines the level`(verbosity: Int, level: Logger.Level) {
        #expect(Logger.Level(verbosity: verbosity) == level)
    }

    @Test func `events below the level are not written`() {
        #expect(text(verbosity: 0) { $0.notice("m") } != "")
        #expect(text(verbosity: 1) { $0.info("m") } == "")
        #expect(text(verbosity: 2) { $0.info("m") } != "")
        #expect(text(verbosity: 3) { $0.debug("m") } == "")
        #expect(text(verbosity: 4) { $0.debug("m") } != "")
        #expect(text(verbosity: 4) { $0.trace("m") } == "")
        #expect(text(verbosity: 5) { $0.trace("m") } != "")
    }

    @Test func `a handler may log trace events at a higher verbosity`() {
        #expect(lines(.json, 5, trace: 6) { $0.trace("m") } == "")
        #expect(lines(.json, 5, trace: 6) { $0.debug("m") } != "")
        #expect(lines(.json, 6, trace: 6) { $0.trace("m") }.contains(#""v":6,"#))
    }

    @Test func `a list of KObjs is a list of namespace/name in text`() {
        let metadata: Logger.Metadata = [
            "PVCs": [["namespace": "a", "name": "b"], ["namespace": "c", "name": "d\n"]]
        ]
        #expect(text { $0.info("m", metadata: metadata) }.hasSuffix(#" PVCs=["a/b","c/d\n"]"# + "\n"))
    }

    @Test func `the event's metadata overrides the logger's, which overrides the provider's`() {
        let line = text {
            $0.handler.metadataProvider = Logger.MetadataProvider {
                ["a": "provider", "b": "provider", "c": "provider"]
            }
            $0[metadataKey: "b"] = "logger"
            $0[metadataKey: "c"] = "logger"
            $0.info("m", metadata: ["c": "event"])
        }
        #expect(line.hasSuffix(#" a="provider" b="logger" c="event""# + "\n"))
    }

    @Test func `the time of a text line is local`() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .current
        let date = Date(timeIntervalSince1970: 1_713_605_993)
        let parts = calendar.dateComponents([.month, .day, .hour, .minute, .second], from: date)
        let expected = String(
            format: "%02d%02d %02d:%02d:%02d.317402",
            try #require(parts.month),
            try #require(parts.day),
            try #require(parts.hour),
            try #require(parts.minute),
            try #require(parts.second)
        )
        #expect(time.klogTimestamp == expected)
    }

    @Test(arguments: [
        (0, "1713605993000"), (1_000_000, "1713605993001"), (1_002_003, "1713605993001.002"), (999, "1713605993000"),
    ])
    func `milliseconds have no trailing zeros`(nanoseconds: Int, expected: String) {
        #expect(LogTime(secondsSince1970: 1_713_605_993, nanoseconds: nanoseconds).milliseconds == expected)
    }

    // MARK: Helpers

    private func text(verbosity: Int = 10, _ body: (inout Logger) -> Void) -> String {
        lines(.text, verbosity, body)
    }

    private func json(_ body: (inout Logger) -> Void) -> String {
        lines(.json, 10, body)
    }

    private func lines(
        _ format: KlogHandler.Format,
        _ verbosity: Int,
        trace: Int = Logger.Level.defaultTraceVerbosity,
        _ body: (inout Logger) -> Void
    ) -> String {
        let output = Output()
        let time = time
        var logger = Logger(label: "test") { _ in
            KlogHandler(
                format: format,
                verbosity: verbosity,
                traceVerbosity: trace,
                now: { time },
                write: output.write
            )
        }
        body(&logger)
        return output.text
    }
}

private final class Output: Sendable {
    private let bytes = Mutex<[UInt8]>([])

    var text: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }

    func write(_ line: [UInt8]) {
        bytes.withLock { $0 += line }
    }
}
