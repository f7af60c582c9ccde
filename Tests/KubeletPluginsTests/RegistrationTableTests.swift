// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import HealthMonitorTestKit
import Testing

@testable import KubeletPlugins

@Suite struct RegistrationTableTests {
    private func socket(_ path: String, inode: UInt64 = 1, modified: Int = 0) -> RegistrationSocket {
        RegistrationSocket(
            path: "/r/" + path,
            file: SocketIdentity(device: 1, inode: inode, modified: .seconds(modified))
        )
    }

    private func plugin(_ name: String, _ endpoint: String = "/p/a") -> RegistrationReply {
        .plugin(RegisteredPlugin(name: name, endpoint: endpoint), isMounted: true)
    }

    @Test func `a socket is called once, and again only when it is another one`() {
        var table = RegistrationTable()
        let old = socket("a")
        #expect(table.update(.init(sockets: [old]), at: .zero).isEmpty)
        #expect(table.takeCalls(at: .zero) == [old])
        #expect(table.takeCalls(at: .zero).isEmpty)
        #expect(table.complete(old, plugin("x"), at: .zero).isEmpty)
        #expect(table.plugins.map(\.name) == ["x"])
        _ = table.update(.init(sockets: [old]), at: .seconds(10))
        #expect(table.takeCalls(at: .seconds(10)).isEmpty)

        let new = socket("a", modified: 20)
        _ = table.update(.init(sockets: [new]), at: .seconds(20))
        #expect(table.plugins.map(\.name) == ["x"], "the plugin stays until the call has ended")
        #expect(table.takeCalls(at: .seconds(20)) == [new])
        _ = table.complete(new, plugin("x", "/p/b"), at: .seconds(21))
        #expect(table.plugins.map(\.endpoint) == ["/p/b"])

        _ = table.update(.init(), at: .seconds(30))
        #expect(table.plugins.isEmpty)
    }

    @Test func `the plugin of a replaced socket ends when the new one does not respond three times`() {
        var table = RegistrationTable()
        let (old, new) = (socket("a", inode: 1), socket("a", inode: 2))
        _ = table.update(.init(sockets: [old]), at: .zero)
        _ = table.takeCalls(at: .zero)
        _ = table.complete(old, plugin("x"), at: .zero)
        _ = table.update(.init(sockets: [new]), at: .zero)
        _ = table.takeCalls(at: .zero)
        #expect(table.complete(new, .failed("refused"), at: .zero) == [.failed(socket: "/r/a", reason: "refused")])
        #expect(table.plugins.map(\.name) == ["x"])
        #expect(table.takeCalls(at: .seconds(5)) == [new])
        _ = table.complete(new, .failed("refused"), at: .seconds(5))
        #expect(table.plugins.map(\.name) == ["x"])
        #expect(table.takeCalls(at: .seconds(15)) == [new])
        _ = table.complete(new, .failed("refused"), at: .seconds(15))
        #expect(table.plugins.isEmpty)
    }

    @Test func `the reply of a socket that is gone or was replaced does not count`() {
        var table = RegistrationTable()
        let (old, new) = (socket("a", inode: 1), socket("a", inode: 2))
        _ = table.update(.init(sockets: [old]), at: .zero)
        #expect(table.takeCalls(at: .zero) == [old])
        _ = table.update(.init(sockets: [new]), at: .zero)
        #expect(table.takeCalls(at: .zero) == [new])
        #expect(table.complete(old, plugin("old"), at: .zero).isEmpty)
        #expect(table.plugins.isEmpty)
        _ = table.update(.init(), at: .zero)
        #expect(table.complete(new, plugin("new"), at: .zero).isEmpty)
        #expect(table.plugins.isEmpty)
    }

    @Test func `failures back off, and are reported once`() {
        var table = RegistrationTable()
        let stale = socket("stale")
        _ = table.update(.init(sockets: [stale]), at: .zero)
        var now = Duration.zero
        for expected in [5, 10, 20, 40, 80, 160, 300, 300, 300] {
            #expect(table.takeCalls(at: now) == [stale])
            let notices = table.complete(stale, .failed("refused"), at: now)
            #expect(notices.isEmpty == (expected != 5))
            #expect(table.takeCalls(at: now + .seconds(expected) - .milliseconds(1)).isEmpty)
            now += .seconds(expected)
        }
        #expect(RegistrationTable.retries.delay(afterFailures: .max) == .seconds(300))
    }

    @Test(arguments: [RegistrationReply.otherType, .rejected("bad name")])
    func `a socket of no use is not called again`(reply: RegistrationReply) {
        var table = RegistrationTable()
        _ = table.update(.init(sockets: [socket("a")]), at: .zero)
        _ = table.takeCalls(at: .zero)
        let notices = table.complete(socket("a"), reply, at: .zero)
        #expect(notices == (reply == .otherType ? [] : [.rejected(socket: "/r/a", reason: "bad name")]))
        _ = table.update(.init(sockets: [socket("a")]), at: .seconds(100_000))
        #expect(table.takeCalls(at: .seconds(100_000)).isEmpty)
    }

    @Test func `of several registrations of a driver the newest counts, and it is reported once`() {
        var table = RegistrationTable()
        let (older, newer) = (socket("b", modified: 1), socket("a", modified: 2))
        _ = table.update(.init(sockets: [newer, older]), at: .zero)
        _ = table.takeCalls(at: .zero)
        #expect(table.complete(newer, plugin("x", "/p/new"), at: .zero).isEmpty)
        #expect(
            table.complete(older, plugin("x", "/p/old"), at: .zero)
                == [.duplicate(name: "x", newest: "/r/a", sockets: ["/r/a", "/r/b"])]
        )
        #expect(table.plugins.map(\.endpoint) == ["/p/new"])
        #expect(table.update(.init(sockets: [newer, older]), at: .seconds(10)).isEmpty)
        _ = table.update(.init(sockets: [older]), at: .seconds(20))
        #expect(table.plugins.map(\.endpoint) == ["/p/old"])
    }

    @Test func `a directory that cannot be read keeps what was found in it`() {
        var table = RegistrationTable()
        let (a, b) = (socket("a"), socket("sub/b"))
        _ = table.update(.init(sockets: [a, b]), at: .zero)
        for call in table.takeCalls(at: .zero) { _ = table.complete(call, plugin(call.path.suffix(1) + ""), at: .zero) }
        let failure = RegistrationScan.Failure(directory: "/r/sub", reason: "Input/output error")
        #expect(table.update(.init(sockets: [], failures: [failure]), at: .zero) == [.unreadable(failure)])
        #expect(table.plugins.map(\.name) == ["b"])
        #expect(table.update(.init(sockets: [], failures: [failure]), at: .zero).isEmpty)
        #expect(table.update(.init(), at: .zero) == [.readable(directory: "/r/sub")])
        #expect(table.plugins.isEmpty)
        #expect(table.update(.init(isTruncated: true), at: .zero) == [.truncated])
        #expect(table.update(.init(isTruncated: true), at: .zero).isEmpty)
    }

    @Test func `an endpoint that is not mounted is reported once`() {
        var table = RegistrationTable()
        _ = table.update(.init(sockets: [socket("a")]), at: .zero)
        _ = table.takeCalls(at: .zero)
        let found = RegisteredPlugin(name: "x", endpoint: "/run/x")
        #expect(table.complete(socket("a"), .plugin(found, isMounted: false), at: .zero) == [.notMounted(found)])
        #expect(table.plugins == [found])
        #expect(table.update(.init(sockets: [socket("a")]), at: .seconds(10)).isEmpty)
    }

    /// Sockets come, go and are replaced at random; a part of them hangs, fails, or belongs to other programs.
    @Test(arguments: 0..<200)
    func `calls and drivers follow the directory, whatever happens`(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var table = RegistrationTable()
        var present: [String: RegistrationSocket] = [:]
        var inFlight: Set<RegistrationSocket> = []
        /// The sockets that have had their last reply, and the times of failures of the others.
        var done: [RegistrationSocket: RegisteredPlugin?] = [:]
        var failures: [RegistrationSocket: [Duration]] = [:]
        var now = Duration.zero
        var inode: UInt64 = 0
        for _ in 0..<300 {
            now += .seconds(Int.random(in: 0...10, using: &random))
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let path = "s\(Int.random(in: 0..<25, using: &random))"
                inode += 1
                let isRemoved = present[path] != nil && Bool.random(using: &random)
                present[path] =
                    isRemoved ? nil : socket(path, inode: inode, modified: .random(in: 0...50, using: &random))
            }
            _ = table.update(.init(sockets: present.values.sorted { $0.path < $1.path }), at: now)
            for call in table.takeCalls(at: now) {
                #expect(present.values.contains(call))
                #expect(inFlight.insert(call).inserted, "one call at a time")
                #expect(done[call] == nil, "no call after the last reply")
                let earlier = failures[call] ?? []
                if let last = earlier.last {
                    #expect(now - last >= RegistrationTable.retries.delay(afterFailures: earlier.count))
                }
            }
            #expect(inFlight.count <= RegistrationTable.maximumCalls)
            for call in inFlight.sorted(by: { $0.file.inode < $1.file.inode })
            where Int.random(in: 0..<3, using: &random) == 0 {
                inFlight.remove(call)
                let isPresent = present.values.contains(call)
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    _ = table.complete(call, .failed("refused"), at: now)
                    if isPresent { failures[call, default: []].append(now) }
                case 1:
                    _ = table.complete(call, .otherType, at: now)
                    if isPresent { done[call] = .some(nil) }
                default:
                    let found = RegisteredPlugin(
                        name: "driver-\(Int.random(in: 0..<10, using: &random))",
                        endpoint: "/p/\(call.file.inode)"
                    )
                    _ = table.complete(call, .plugin(found, isMounted: true), at: now)
                    if isPresent { done[call] = .some(found) }
                }
            }
        }
        // All that still wait respond.
        while true {
            now += RegistrationTable.retries.maximum
            for call in table.takeCalls(at: now) { inFlight.insert(call) }
            guard !inFlight.isEmpty else { break }
            for call in inFlight {
                let found = RegisteredPlugin(name: "late", endpoint: "/p/\(call.file.inode)")
                _ = table.complete(call, .plugin(found, isMounted: true), at: now)
                if present.values.contains(call) { done[call] = .some(found) }
            }
            inFlight = []
        }
        var expected: [String: (socket: RegistrationSocket, plugin: RegisteredPlugin)] = [:]
        for socket in present.values {
            guard let reply = done[socket] else {
                Issue.record("\(socket) was not called")
                continue
            }
            guard let plugin = reply else { continue }
            if let other = expected[plugin.name], other.socket.isNewer(than: socket) { continue }
            expected[plugin.name] = (socket, plugin)
        }
        #expect(table.plugins == expected.values.map(\.plugin).sorted { $0.name < $1.name })
    }
}
