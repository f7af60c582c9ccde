// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import Synchronization
import Testing

@testable import CSIClient

@Suite(.timeLimit(.minutes(50))) struct VolumeTests {
    @Test func `ListVolumes returns every volume's condition`() async throws {
        try await withDriver { driver, client in
            driver.volumes = [
                SimulatedVolume(id: "healthy"),
                SimulatedVolume(id: "broken", condition: .abnormal("The volume isn't mounted \u{1FAB5}\n")),
                SimulatedVolume(id: "silent", condition: nil),
            ]
            var volumes: [DriverVolume] = []
            for try await page in client.listVolumes() { volumes += page }
            #expect(volumes.map(\.id) == ["healthy", "broken", "silent"])
            #expect(volumes.map { $0.condition?.isAbnormal } == [false, true, nil])
            #expect(volumes[1].condition?.message == "The volume isn't mounted \u{1FAB5}\n")
        }
    }

    @Test func `pages follow the driver's tokens`() async throws {
        try await withDriver(.init(pageSize: 2)) { driver, client in
            driver.volumes = (0..<5).map { SimulatedVolume(id: "\($0)") }
            let pages = try await client.listedIDs()
            #expect(pages == [["0", "1"], ["2", "3"], ["4"]])
            #expect(driver.journal.calls("ListVolumes").map(\.startingToken) == ["", "2", "4"])
            #expect(driver.journal.calls("ListVolumes").map(\.maxEntries) == [0, 0, 0])
        }
    }

    @Test func `max_entries is sent when it is configured`() async throws {
        try await withDriver(maxEntries: 3) { driver, client in
            driver.volumes = (0..<4).map { SimulatedVolume(id: "\($0)") }
            let pages = try await client.listedIDs()
            #expect(pages == [["0", "1", "2"], ["3"]])
            #expect(driver.journal.calls("ListVolumes").map(\.maxEntries) == [3, 3])
        }
    }

    @Test func `a driver without volumes has an empty page`() async throws {
        try await withDriver { _, client in
            let pages = try await client.listedIDs()
            #expect(pages == [[]])
        }
    }

    @Test func `a repeated token ends the list`() async throws {
        try await withDriver { driver, client in
            // entries=1 { volume=1 { volume_id=2 "a" } }, next_token=2 "again"
            let page: [UInt8] = [0x0A, 5, 0x0A, 3, 0x12, 1, 0x61, 0x12, 5] + Array("again".utf8)
            driver.intercept { call in call.method.hasSuffix("ListVolumes") ? .reply(page) : nil }
            let error = await #expect(throws: CSIError.self) { try await client.listedIDs() }
            #expect(error?.code == .invalidResponse)
            #expect(error?.message.contains("the same next_token twice") == true)
            #expect(driver.journal.calls("ListVolumes").count == 2)
        }
    }

    @Test func `an expired token starts the list over once`() async throws {
        try await withDriver(.init(pageSize: 1)) { driver, client in
            driver.volumes = (0..<3).map { SimulatedVolume(id: "\($0)") }
            let journal = driver.journal
            driver.intercept { call in
                let second = journal.calls("ListVolumes").count == 2
                return second && call.method.hasSuffix("ListVolumes") ? .fail(.aborted, "expired") : nil
            }
            let pages = try await client.listedIDs()
            #expect(pages == [["0"], ["0"], ["1"], ["2"]])
        }
    }

    @Test func `a list that keeps expiring fails`() async throws {
        try await withDriver(.init(pageSize: 1)) { driver, client in
            driver.volumes = (0..<3).map { SimulatedVolume(id: "\($0)") }
            driver.intercept { call in call.startingToken.isEmpty ? nil : .fail(.aborted, "expired") }
            let error = await #expect(throws: CSIError.self) { try await client.listedIDs() }
            #expect(error?.code == .status(.aborted))
        }
    }

    @Test func `aborted first pages are not started over`() async throws {
        try await withDriver { driver, client in
            driver.intercept { _ in .fail(.aborted, "busy") }
            let error = await #expect(throws: CSIError.self) { try await client.listedIDs() }
            #expect(error?.code == .status(.aborted))
            #expect(driver.journal.calls("ListVolumes").count == 1)
        }
    }

    @Test func `a driver's message is kept on one line and in four kibibytes, and a made-up code is Unknown`()
        async throws
    {
        let message = "no\n[+]ok\u{1B}[2J" + String(repeating: "x", count: 100_000)
        try await withResponses { _, _ in
            .failure(GRPCError(code: GRPCStatus.Code(rawValue: 99), message: message))
        } _: { client in
            let error = await #expect(throws: CSIError.self) { try await client.probe() }
            #expect(error?.code == .status(.unknown))
            #expect(error?.message.hasPrefix("Code(99): no [+]ok [2Jxxx") == true)
            #expect((error?.message.utf8.count ?? 0) <= 4099)
        }
    }

    @Test func `a failed page throws the driver's message`() async throws {
        try await withDriver(.init(pageSize: 1)) { driver, client in
            driver.volumes = (0..<3).map { SimulatedVolume(id: "\($0)") }
            driver.intercept { call in call.startingToken == "2" ? .fail(.internal, "backend lost") : nil }
            let error = await #expect(throws: CSIError.self) { try await client.listedIDs() }
            #expect(error?.description == "/csi.v1.Controller/ListVolumes: Internal: backend lost")
        }
    }

    @Test func `every page has its own deadline`() async throws {
        try await withDriver(.init(pageSize: 1), timeout: .seconds(2)) { driver, client in
            driver.volumes = (0..<2).map { SimulatedVolume(id: "\($0)") }
            driver.intercept { call in
                guard call.startingToken == "1" else { return nil }
                try? await ManualClock().sleep(for: .seconds(1))
                return nil
            }
            let error = await #expect(throws: CSIError.self) { try await client.listedIDs() }
            #expect(error?.code == .status(.deadlineExceeded))
        }
    }

    @Test func `an endless list fails`() async throws {
        let calls = Mutex(0)
        var pages = DriverPages<DriverVolume>(method: "/ListVolumes", limit: 1000) { _ throws(CSIError) in
            let number = calls.withLock { calls in
                calls += 1
                return calls
            }
            // The end is for a client without a limit.
            return try DriverPage(number < 2000 ? Wire.text(2, "token-\(number)") : [], method: "m")
        } items: {
            $0.items
        }.makeAsyncIterator()
        do {
            while try await pages.next() != nil {}
            Issue.record("the list ended without an error")
        } catch {
            #expect(error.code == .invalidResponse)
            #expect(error.message.contains("1000 pages"))
        }
        #expect(calls.withLock { $0 } == 1000)
        let after = try await pages.next()
        #expect(after == nil)
    }

    /// entries=1 as a varint, as four and eight bytes, and after an unknown field: not an empty list.
    @Test(
        arguments: [[0x08, 7], [0x0D, 1, 2, 3, 4], [0x09, 1, 2, 3, 4, 5, 6, 7, 8], [0x7A, 1, 0, 0x08, 7]] as [[UInt8]]
    )
    func `a field of another wire type is an error`(bytes: [UInt8]) async throws {
        try await withDriver { driver, client in
            driver.intercept { _ in .reply(bytes) }
            let error = await #expect(throws: CSIError.self) { try await client.listedIDs() }
            #expect(error?.code == .invalidResponse)
        }
    }

    /// A later version of the specification may add fields.
    @Test(arguments: [[], [0x7A, 1, 0], [0x7B, 0x08, 1, 0x7C]] as [[UInt8]])
    func `an empty list may have unknown fields`(bytes: [UInt8]) async throws {
        try await withDriver { driver, client in
            driver.intercept { _ in .reply(bytes) }
            let pages = try await client.listedIDs()
            #expect(pages == [[]])
        }
    }

    @Test(arguments: [[0xFF, 0xFF], [0x0A, 5, 1], [0x0A, 2, 0x0A, 9]] as [[UInt8]])
    func `malformed bytes are an error`(bytes: [UInt8]) async throws {
        try await withDriver { driver, client in
            driver.intercept { _ in .reply(bytes) }
            let error = await #expect(throws: CSIError.self) { try await client.listedIDs() }
            #expect(error?.code == .invalidResponse)
        }
    }

    /// entries=1 { volume=1 { volume_id=2 } }
    private func page(_ ids: some Sequence<Int>) -> [UInt8] {
        ids.flatMap { Wire.message(1, Wire.message(1, Wire.text(2, "\($0)"))) }
    }

    @Test func `a large page comes in parts`() async throws {
        try await withDriver { [large = page(0..<2500), last = page(2500..<2501)] driver, client in
            driver.intercept { call in .reply(call.startingToken.isEmpty ? Wire.text(2, "next") + large : last) }
            let pages = try await client.listedIDs()
            #expect(pages.map(\.count) == [1000, 1000, 500, 1])
            #expect(pages.flatMap(\.self) == (0...2500).map { "\($0)" })
            #expect(driver.journal.calls("ListVolumes").map(\.startingToken) == ["", "next"])
        }
    }

    @Test func `a list fails where a part of a page is malformed`() async throws {
        try await withDriver { [page = page(0..<1500) + [0x0A, 2, 0x0A, 9]] driver, client in
            driver.intercept { _ in .reply(Wire.text(2, "next") + page) }
            var pages = client.listVolumes().makeAsyncIterator()
            let first = try await pages.next()
            #expect(first?.count == 1000)
            let error = await #expect(throws: CSIError.self) { try await pages.next() }
            #expect(error?.code == .invalidResponse)
            let after = try await pages.next()
            #expect(after == nil)
            #expect(driver.journal.calls("ListVolumes").count == 1)
        }
    }

    @Test func `one volume is read`() async throws {
        try await withDriver { driver, client in
            driver.volumes = [SimulatedVolume(id: "a", condition: .abnormal("gone"))]
            let volume = try await client.getVolume(id: "a")
            #expect(volume.condition?.isAbnormal == true)
            #expect(volume.condition?.message == "gone")
            let error = await #expect(throws: CSIError.self) { try await client.getVolume(id: "b") }
            #expect(error?.code == .status(.notFound))
        }
    }

    /// Also for an empty id, which an empty message would match.
    @Test(arguments: ["a", ""])
    func `a reply without volume and condition is an error`(id: String) async throws {
        try await withDriver { driver, client in
            driver.intercept { _ in .reply([]) }
            let error = await #expect(throws: CSIError.self) { try await client.getVolume(id: id) }
            #expect(error?.code == .invalidResponse)
        }
    }

    /// Replies to ControllerGetVolume of real drivers: volume=1 { volume_id=2 }, status=2 { volume_condition=2 {
    /// abnormal=1, message=2 } }.
    ///
    /// - dell/csi-powerstore (pkg/controller/controller.go, 8db0ba6): handle `UUID/ARRAY/scsi`, reply with the UUID only.
    /// - dell/csi-powerflex (service/controller.go, ce1dbd0c): abnormal without `volume` for a missing volume.
    static let deviations: [(kind: ReplyDeviation.Kind, volume: [UInt8])] = [
        (.volumeIDDiffers, Wire.message(1, Wire.text(2, "3f1c"))),
        (.volumeIDMissing, Wire.message(1, Wire.integer(1, 1 << 30))),
        (.volumeIDMissing, Wire.message(1)),
        (.volumeMissing, []),
    ]

    @Test(arguments: deviations, [true, false])
    func `a reply belongs to the requested volume`(
        deviation: (kind: ReplyDeviation.Kind, volume: [UInt8]),
        isAbnormal: Bool
    ) async throws {
        let handle = "3f1c/PS000000000001/scsi"
        let condition = Wire.message(2, Wire.integer(1, isAbnormal ? 1 : 0), Wire.text(2, "Volume is in Failed state"))
        let reply = deviation.volume + Wire.message(2, condition)
        let log = makeLog()
        let seen = Mutex<[ReplyDeviation.Kind?]>([])
        let observer: @Sendable (CSIClient.CallObservation) -> Void = { call in
            #expect(call.isUsable)
            seen.withLock { $0.append(call.deviation?.kind) }
        }
        try await withDriver(logger: log.logger, observer: observer) { driver, client in
            driver.intercept { _ in .reply(reply) }
            for _ in 0..<3 {
                let volume = try await client.getVolume(id: handle)
                #expect(volume.id == handle)
                #expect(volume.condition?.isAbnormal == isAbnormal)
                #expect(volume.condition?.message == "Volume is in Failed state")
            }
        }
        #expect(seen.withLock { $0 } == [deviation.kind, deviation.kind, deviation.kind])
        let warnings = log.text().split(separator: "\n").filter { $0.hasPrefix("warning") }
        #expect(warnings.count == 1)
        #expect(warnings.first?.contains(handle) == true)
    }

    /// docs/reliability.md, "Bounds".
    @Test func `a reply over 64 MiB is an error, a smaller one is not`() async throws {
        // Field 1000, which no version of the specification has: the tag 0x1F42, followed by the length.
        func padding(_ count: Int) -> [UInt8] {
            var length: [UInt8] = []
            var rest = count
            while rest >= 0x80 {
                length.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            return [0xC2, 0x3E] + length + [UInt8(rest)] + [UInt8](repeating: 0, count: count)
        }
        let volume = Wire.message(1, Wire.text(2, "a"))
        for (size, isGood) in [(63 << 20, true), (64 << 20, false)] {
            let reply = volume + padding(size)
            try await withDriver { driver, client in
                driver.intercept { _ in .reply(reply) }
                if isGood {
                    let volume = try await client.getVolume(id: "a")
                    #expect(volume.id == "a")
                } else {
                    let error = await #expect(throws: CSIError.self) { try await client.getVolume(id: "a") }
                    #expect(error?.code == .status(.resourceExhausted))
                }
            }
        }
    }

    @Test func `an entry without a volume_id does not hide the others`() async throws {
        try await withDriver { driver, client in
            // entries=1 {}, entries=1 { volume=1 { volume_id=2 "a" } }
            driver.intercept { _ in .reply([0x0A, 0, 0x0A, 5, 0x0A, 3, 0x12, 1, 0x61]) }
            let pages = try await client.listedIDs()
            #expect(pages == [["a"]])
        }
    }
}
