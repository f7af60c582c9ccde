// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import GRPCTransport
import HealthMonitorTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(50))) struct VolumeHealthTests {
    /// The content of a VolumeHealth: volume_id=1, health_statuses=2 { status=1, reason=2, message=3 }
    private func health(_ id: String, _ entries: (Int, String, String)...) -> [UInt8] {
        entries.reduce(Wire.text(1, id)) { bytes, entry in
            bytes
                + Wire.message(2, Wire.integer(1, entry.0), Wire.text(2, entry.1), Wire.text(3, entry.2))
        }
    }

    // MARK: Lists

    private func listed(
        secrets: [String: String] = [:],
        maxEntries: Int32 = 0,
        _ handler: @escaping GRPCServer.Handler
    ) async throws -> [[DriverVolumeHealth]] {
        var pages: [[DriverVolumeHealth]] = []
        try await withResponses(maxEntries: maxEntries, handler) { client in
            for try await page in client.listVolumeHealth(secrets: secrets) { pages.append(page) }
        }
        return pages
    }

    @Test func `ControllerListVolumeHealth returns every volume's entries`() async throws {
        let response =
            Wire.message(1, health("a", (1, "RebuildInProgress", "3 of 4 disks"), (2, "PathDown", "")))
            + Wire.message(1, health("b", (3, "", "gone \u{1FAB5}\n")))
            + Wire.message(1, health("healthy"))
        let pages = try await listed { method, _ in
            #expect(method == "/csi.v1.Controller/ControllerListVolumeHealth")
            return .success(response)
        }
        let volumes = try #require(pages.first)
        #expect(pages.count == 1)
        #expect(volumes.map(\.id) == ["a", "b", "healthy"])
        #expect(volumes.map { $0.entries.map(\.status) } == [[.degraded, .inaccessible], [.dataLoss], []])
        #expect(volumes[0].entries.map(\.reason) == ["RebuildInProgress", "PathDown"])
        #expect(volumes[0].entries[0].message == "3 of 4 disks")
        #expect(volumes[1].entries[0].message == "gone \u{1FAB5}\n")
    }

    @Test func `repeated volumes and entries are returned as they come`() async throws {
        let page = Wire.message(1, health("a", (1, "x", ""), (1, "x", ""))) + Wire.message(1, health("a", (2, "y", "")))
        let calls = Mutex(0)
        let pages = try await listed { _, _ in
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            return .success(call == 1 ? page + Wire.text(2, "2") : page)
        }
        #expect(pages.map { $0.map(\.id) } == [["a", "a"], ["a", "a"]])
        #expect(pages[0][0].entries.count == 2)
    }

    @Test(arguments: [0, 4, 99, Int(Int32.max), -1])
    func `an unknown status is kept as its number`(number: Int) async throws {
        let response = Wire.message(1, health("a", (number, "New", "")))
        let pages = try await listed { _, _ in .success(response) }
        #expect(pages.first?.first?.entries.map(\.status) == [.unknown(number)])
    }

    @Test func `every page's request has max_entries, the token and the secrets`() async throws {
        let requests = Mutex<[[UInt8]]>([])
        let pages = try await listed(secrets: ["user": "eve"], maxEntries: 2) { _, request in
            let count = requests.withLock { requests in
                requests.append(request)
                return requests.count
            }
            return .success(count == 1 ? Wire.text(2, "next") : [])
        }
        #expect(pages == [[], []])
        // max_entries=1, starting_token=2, secrets=3 { key=1, value=2 }
        let secrets = Wire.message(3, Wire.text(1, "user"), Wire.text(2, "eve"))
        #expect(
            requests.withLock { $0 } == [
                Wire.integer(1, 2) + secrets,
                Wire.integer(1, 2) + Wire.text(2, "next") + secrets,
            ]
        )
    }

    @Test func `a repeated token ends the list`() async throws {
        let calls = Atomic(0)
        let error = await #expect(throws: CSIError.self) {
            try await listed { _, _ in
                calls.add(1, ordering: .relaxed)
                return .success(Wire.text(2, "again"))
            }
        }
        #expect(error?.code == .invalidResponse)
        #expect(error?.method == "/csi.v1.Controller/ControllerListVolumeHealth")
        #expect(calls.load(ordering: .relaxed) == 2)
    }

    @Test func `an expired token starts the list over once`() async throws {
        let responses = Mutex<[Result<[UInt8], GRPCError>]>([
            .success(Wire.message(1, health("a")) + Wire.text(2, "old")),
            .failure(GRPCError(code: .aborted, message: "expired")),
            .success(Wire.message(1, health("a")) + Wire.text(2, "new")),
            .success(Wire.message(1, health("b"))),
        ])
        let pages = try await listed { _, _ in responses.withLock { $0.removeFirst() } }
        #expect(pages.map { $0.map(\.id) } == [["a"], ["a"], ["b"]])
    }

    @Test func `nothing comes after a failed page`() async throws {
        let calls = Atomic(0)
        try await withResponses { _, _ in
            calls.add(1, ordering: .relaxed)
            return .failure(GRPCError(code: .internal, message: "backend lost"))
        } _: { client in
            var pages = client.listVolumeHealth().makeAsyncIterator()
            let error = await #expect(throws: CSIError.self) { try await pages.next() }
            #expect(error?.code == .status(.internal))
            let next = try await pages.next()
            #expect(next == nil)
        }
        #expect(calls.load(ordering: .relaxed) == 1)
    }

    @Test func `an entry without a volume_id does not hide the others`() async throws {
        let log = makeLog()
        let response = Wire.message(1, health("a")) + Wire.message(1, health("", (1, "x", ""))) + [0x0A, 0]
        try await withResponses(logger: log.logger) { _, _ in
            .success(response)
        } _: { client in
            for _ in 0..<2 {
                var ids: [[String]] = []
                for try await page in client.listVolumeHealth() { ids.append(page.map(\.id)) }
                #expect(ids == [["a"]])
            }
        }
        #expect(log.text().ranges(of: "without a volume_id").count == 1)
        #expect(log.text().contains("warning Skipped list entries"))
    }

    // MARK: One volume

    private func getVolumeHealth(
        _ id: String,
        _ response: Result<[UInt8], GRPCError>
    ) async throws -> Result<DriverVolumeHealth, CSIError> {
        var result: Result<DriverVolumeHealth, CSIError>?
        try await withResponses { method, request in
            #expect(method == "/csi.v1.Controller/ControllerGetVolumeHealth")
            #expect(request == (id.isEmpty ? [] : Wire.text(1, id)))
            return response
        } _: { client in
            do throws(CSIError) {
                result = .success(try await client.getVolumeHealth(id: id))
            } catch {
                result = .failure(error)
            }
        }
        return try #require(result)
    }

    @Test func `one volume is read`() async throws {
        let volume = try await getVolumeHealth(
            "a",
            .success(Wire.message(1, health("a", (2, "PathDown", "all paths"))))
        )
        #expect(try volume.get().entries.map(\.status) == [.inaccessible])
        #expect(try volume.get().entries.map(\.reason) == ["PathDown"])
    }

    @Test func `a health without entries is healthy`() async throws {
        let volume = try await getVolumeHealth("a", .success(Wire.message(1, health("a"))))
        #expect(try volume.get().id == "a")
        #expect(try volume.get().entries.isEmpty)
    }

    @Test(
        arguments: [
            // No volume_health; not for an empty id either, which an empty message would match.
            ("a", [], "has no volume_health"),
            ("", [], "has no volume_health"),
            // For another volume, and without a volume_id.
            ("a", [0x0A, 3, 0x0A, 1, 0x62], "the response is for \"b\""),
            ("a", [0x0A, 0], "the response is for \"\""),
            ("a", [0xFF, 0xFF], "cannot be decoded: invalid protobuf field at byte 2"),
        ] as [(String, [UInt8], String)]
    )
    func `a reply without the volume's health is an error`(
        id: String,
        bytes: [UInt8],
        problem: String
    ) async throws {
        let result = try await getVolumeHealth(id, .success(bytes))
        let error = #expect(throws: CSIError.self) { try result.get() }
        #expect(error?.code == .invalidResponse)
        #expect(error?.message.contains(problem) == true, "\(String(describing: error))")
        #expect(error?.isNotFound == false)
    }

    @Test func `a missing volume and an unavailable driver are different errors`() async throws {
        let gone = try await getVolumeHealth("a", .failure(GRPCError(code: .notFound, message: "no such volume")))
        let missing = #expect(throws: CSIError.self) { try gone.get() }
        #expect(missing?.isNotFound == true)
        #expect(missing?.isUnavailable == false)
        let away = try await getVolumeHealth("a", .failure(GRPCError(code: .unavailable, message: "starting")))
        let unreachable = #expect(throws: CSIError.self) { try away.get() }
        #expect(unreachable?.isUnavailable == true)
        #expect(unreachable?.isNotFound == false)
    }

    @Test func `a call without a response ends at the timeout`() async throws {
        try await withResponses(timeout: .milliseconds(100)) { _, _ in
            // The task is cancelled when the call ends.
            try? await ManualClock().sleep(for: .seconds(1))
            return .success([])
        } _: { client in
            let error = await #expect(throws: CSIError.self) { try await client.getVolumeHealth(id: "a") }
            #expect(error?.code == .status(.deadlineExceeded))
        }
    }

    // MARK: Secrets

    @Test func `secrets are sent and never logged`() async throws {
        let log = makeLog()
        let secrets = ["password": "hunter2"]
        let sent = Mutex<[UInt8]>([])
        try await withResponses(logger: log.logger) { method, request in
            sent.withLock { $0 = request }
            if method.hasSuffix("ListVolumeHealth") { return .failure(GRPCError(code: .internal, message: "no")) }
            return .success(Wire.message(1, health("a")))
        } _: { client in
            _ = try await client.getVolumeHealth(id: "a", secrets: secrets)
            let map = Wire.message(2, Wire.text(1, "password"), Wire.text(2, "hunter2"))
            #expect(sent.withLock { $0 } == Wire.text(1, "a") + map)
            let error = await #expect(throws: CSIError.self) {
                for try await _ in client.listVolumeHealth(secrets: secrets) {}
            }
            #expect(error.map { "\($0)" }?.contains("hunter2") == false)
        }
        #expect(log.text().contains(#"{"volumeId":"a"}"#), "\(log.text())")
        #expect(log.text().contains("ControllerListVolumeHealth"))
        #expect(!log.text().contains("hunter2"))
        #expect(!log.text().contains("password"))
    }

    /// A backend's message may repeat secrets, and goes to events, which many users may read.
    @Test func `secrets that the driver repeats are redacted`() async throws {
        let log = makeLog()
        let secrets = ["password": "hunter2", "user": "hunter", "pin": "123"]
        let response = Wire.message(1, health("a", (2, "hunter2", "hunter cannot log in with hunter2, 123 tries")))
        try await withResponses(logger: log.logger) { method, request in
            let isFailure = method.hasSuffix("GetVolumeHealth") && request.starts(with: Wire.text(1, "bad"))
            return isFailure
                ? .failure(GRPCError(code: .unauthenticated, message: "hunter2 is wrong")) : .success(response)
        } _: { client in
            let volume = try await client.getVolumeHealth(id: "a", secrets: secrets)
            #expect(volume.entries.map(\.reason) == ["(redacted)"])
            #expect(volume.entries.map(\.message) == ["(redacted) cannot log in with (redacted), 123 tries"])
            for try await page in client.listVolumeHealth(secrets: secrets) { #expect(page == [volume]) }
            let error = await #expect(throws: CSIError.self) {
                try await client.getVolumeHealth(id: "bad", secrets: secrets)
            }
            #expect(error?.message == "(redacted) is wrong")
        }
        #expect(log.text().contains("(redacted) cannot log in"))
        #expect(!log.text().contains("hunter"))
    }
}
