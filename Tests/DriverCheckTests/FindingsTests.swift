// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import Testing

@testable import DriverCheck

/// Findings from exchanges that were not made.
@Suite struct FindingsTests {
    @Test(arguments: ["block.csi.example.com", "a", "Block-1.csi", "1a.2b", String(repeating: "a", count: 63)])
    func `a domain name is a valid name`(name: String) {
        #expect(Findings.problem(ofName: name) == nil)
    }

    @Test(arguments: [
        "", ".a", "a.", "a..b", "-a", "a-", "a.-b", "a_b", "a/b", "bücher.example", String(repeating: "a", count: 64),
    ])
    func `any other name is invalid`(name: String) {
        #expect(Findings.problem(ofName: name) != nil)
    }

    @Test func `a reason of letters and digits with a capital is CamelCase`() {
        for reason in ["DiskFailure", "IO", "R2"] { #expect(Findings.isCamelCase(reason), "\(reason)") }
        for reason in ["", "diskFailure", "Disk Failure", "Disk_Failure", "2Disks", "Käse"] {
            #expect(!Findings.isCamelCase(reason), "\(reason)")
        }
    }

    @Test func `percentiles are by the nearest rank`() {
        #expect(MethodLatency.rank(50, of: 1) == 0)
        #expect(MethodLatency.rank(50, of: 10) == 4)
        #expect(MethodLatency.rank(99, of: 100) == 98)
        #expect(MethodLatency.rank(99, of: 101) == 99)
        let latency = MethodLatency(method: "ListVolumes", durations: [.milliseconds(3), .milliseconds(1)])
        #expect(latency.description == "ListVolumes p50 1.0ms, p99 3.0ms of 2 calls")
        #expect(milliseconds(.microseconds(49)) == "0.0ms")
        #expect(milliseconds(.microseconds(1250)) == "1.3ms")
    }

    // MARK: Lists and single calls that change meanwhile

    @Test func `a volume whose health changes between two calls is no deviation`() {
        let healthy = VolumeReply.Health.condition(isAbnormal: false, message: "")
        let abnormal = VolumeReply.Health.condition(isAbnormal: true, message: "broken")
        // Of the responses in their order, which the driver may change after any of them.
        for change in 0...4 {
            let replies = (0..<4).map { $0 < change ? healthy : abnormal }
            #expect(found(list: replies[0], get: replies[1], list: replies[2], get: replies[3]) == [])
        }
        #expect(found(list: healthy, get: abnormal, list: healthy, get: abnormal) == [.agreesWithList])
    }

    private func found(
        list: VolumeReply.Health,
        get: VolumeReply.Health,
        list secondList: VolumeReply.Health,
        get secondGet: VolumeReply.Health
    ) -> [Check] {
        var service = ServiceRecording(generation: .legacy)
        service.fullLists = [list, secondList].map { health in
            recordedList([["v"]], maxEntries: 0) { VolumeReply(id: $0, health: health) }
        }
        let gets = [get, secondGet].map { exchange(GetReply(volume: VolumeReply(id: "v", health: $0))) }
        service.gets = [GetRecording(id: "v", first: gets[0], second: gets[1])]
        return found(service)
    }

    /// A property, against a model in sets: volumes come and go between the lists, and the driver drops some from a
    /// paged list. Where they come and go, only a list that lacks a next_token deviates.
    @Test(arguments: 0..<200)
    func `a paged list deviates where it lacks a volume that it must have, or has an unknown one`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let all = (0..<6).map { "v\($0)" }
        func some() -> [String] { all.filter { _ in Int.random(in: 0..<4, using: &random) > 0 } }
        let before = some()
        let isStable = Bool.random(using: &random)
        let after = isStable ? before : some()
        var paged = some()
        if Bool.random(using: &random) { paged = Array(paged.prefix(1)) }
        var service = ServiceRecording(generation: .health)
        service.fullLists = [before, after].map { recordedList([$0], maxEntries: 0) }
        service.pagedLists = [recordedList(paged.map { [$0] }, maxEntries: 1)]
        let lasting = before.filter(after.contains)
        let isExamined = lasting.count > 1
        let lacks = lasting.contains { !paged.contains($0) }
        let hasUnknown = paged.contains { !before.contains($0) && !after.contains($0) }
        let isFound = found(service).contains(.sameVolumes)
        let deviates = !paged.isEmpty && (before == after ? lacks || hasUnknown : lacks && paged.count == 1)
        #expect(isFound == (isExamined && deviates), "\(before) \(after) \(paged)")
    }

    @Test func `a volume on two pages counts if both lists have it, and on one page always`() {
        for (first, second, expected) in [
            ([["a"], ["a", "b"]], [["a"], ["b"]], [Check]()),
            ([["a"], ["a", "b"]], [["a", "b"], ["b"]], []),
            ([["a"], ["a", "b"]], [["a"], ["a", "b"]], [.listedOnce]),
            ([["a", "a", "b"]], [["a", "b"]], [.listedOnce]),
        ] {
            var service = ServiceRecording(generation: .health)
            service.fullLists = [first, second].map { recordedList($0, maxEntries: 0) }
            #expect(found(service) == expected, "\(first) \(second)")
        }
    }

    @Test func `a budget is spent by calls that take its time`() {
        var budget = CallBudget(.seconds(15), calls: 2)
        budget.spend(.seconds(29))
        #expect(!budget.isSpent)
        budget.spend(.seconds(1))
        #expect(budget.isSpent)
    }

    @Test func `an incomplete list is compared with nothing`() {
        var service = ServiceRecording(generation: .health)
        service.fullLists = [["a", "b", "c"], ["a", "b", "c"]].map { recordedList([$0], maxEntries: 0) }
        var stopped = recordedList([["a"]], maxEntries: 1)
        stopped.end = .stopped
        service.pagedLists = [stopped]
        #expect(found(service) == [])
    }

    @Test func `ABORTED is allowed for concurrent calls for the same volume only`() {
        for (sameVolume, expected) in [(true, [Check]()), (false, [.parallel])] {
            var service = ServiceRecording(generation: .health)
            let reply = GetReply(volume: VolumeReply(id: "v", health: .statuses([])))
            service.gets = [GetRecording(id: "v", first: exchange(reply))]
            let aborted = failure(GetReply.self, .aborted)
            service.parallel = ([exchange(reply), aborted].map { GetRecording(id: "v", first: $0) }, sameVolume)
            #expect(found(service) == expected)
        }
    }

    @Test func `a volume that is deleted before the concurrent calls is no deviation`() {
        var service = ServiceRecording(generation: .health)
        let reply = GetReply(volume: VolumeReply(id: "v", health: .statuses([])))
        service.gets = [GetRecording(id: "v", first: exchange(reply))]
        service.parallel = ([GetRecording(id: "v", first: failure(GetReply.self, .notFound))], true)
        #expect(found(service) == [])
    }

    @Test func `concurrent calls whose responses are mixed up are found`() {
        var service = ServiceRecording(generation: .health)
        service.gets = ["a", "b"].map { id in
            GetRecording(id: id, first: exchange(GetReply(volume: VolumeReply(id: id, health: .statuses([])))))
        }
        service.parallel = (zip(["b", "a"], service.gets).map { GetRecording(id: $0, first: $1.first) }, true)
        #expect(found(service) == [.parallel])
    }

    // MARK: Texts

    @Test func `a driver's text stays on its line, and is bounded`() {
        #expect(singleLine("a\nb\u{2028}c\u{1B}[0m") == "a b c [0m")
        // Bidirectional controls, zero-width characters, a tag.
        #expect(singleLine("a\u{202E}b\u{2066}c\u{200B}d\u{FEFF}e\u{E0041}f") == "a b c d e f")
        #expect(singleLine(String(repeating: "ä", count: 400)).utf8.count <= 304)
        let findings = Findings.results(
            of: recording(name: String(repeating: "x\n", count: 1000)),
            side: .controller
        )
        guard case .deviated(let problems, more: 0)? = findings.first?.outcome else {
            Issue.record("the name was not found")
            return
        }
        #expect(problems.allSatisfy { $0.text.utf8.count < 200 && !$0.text.contains("\n") })
    }

    @Test func `of many problems the first three are kept, and the others counted`() {
        var service = ServiceRecording(generation: .legacy)
        service.fullLists = [recordedList([(1...10).map { _ in "" }], maxEntries: 0)]
        var recording = recording(name: "a")
        recording.services = [service]
        let result = Findings.results(of: recording, side: .controller).first { $0.check == .entryID }
        guard case .deviated(let problems, let more)? = result?.outcome else {
            Issue.record("no problem was found")
            return
        }
        #expect(problems.count == 3)
        #expect(more == 7)
    }

    // MARK: Exchanges

    private func found(_ service: ServiceRecording) -> [Check] {
        var recording = recording(name: "a")
        recording.services = [service]
        return Findings.results(of: recording, side: .controller).filter(\.deviates).map(\.check)
    }

    private func recording(name: String) -> DriverRecording {
        DriverRecording(
            info: exchange(PluginInfo(name: name, vendorVersion: "v1")),
            capabilities: exchange([3, 11, 12])
        )
    }

    private func recordedList(
        _ pages: [[String]],
        maxEntries: Int32,
        reply: (String) -> VolumeReply = { VolumeReply(id: $0, health: .statuses([])) }
    ) -> ListRecording {
        let exchanges = pages.map { exchange(ListPage(volumes: $0.map(reply))) }
        return ListRecording(maxEntries: maxEntries, pages: exchanges, end: .complete)
    }

    private func exchange<Reply>(_ reply: Reply) -> Exchange<Reply> {
        Exchange(method: "M", request: "", outcome: .reply(reply), received: "OK", duration: .milliseconds(1))
    }

    private func failure<Reply>(_: Reply.Type, _ code: GRPCStatus.Code) -> Exchange<Reply> {
        let status = GRPCStatus(code: code, message: "")
        return Exchange(method: "M", request: "", outcome: .failed(status), received: "", duration: .zero)
    }
}
