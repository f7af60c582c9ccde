// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// Decides which registration sockets to call, and which CSI drivers there are.
///
/// A value: the caller reads the directory and calls the sockets. Time is passed in as a `Duration` since any fixed
/// moment of a monotonic clock.
///
/// - Each socket is called once; after a failure again, with back-off. One socket's failures do not delay another's
///   call.
/// - A socket that was created again is called again. Its plugin stays until that call has succeeded, or has failed more
///   than ``keptFailures`` times: a driver that restarts creates its socket before it responds.
/// - While a directory cannot be read, what was found in it before is kept.
struct RegistrationTable: Sendable {
    /// For the log; each is returned once.
    enum Notice: Sendable, Hashable {
        /// A call failed, the first one of this socket.
        case failed(socket: String, reason: String)
        /// The socket is not called again.
        case rejected(socket: String, reason: String)
        /// The plugin's socket can be reached only if its directory is mounted too.
        case notMounted(RegisteredPlugin)
        /// Several sockets register the same driver, and the newest one counts.
        case duplicate(name: String, newest: String, sockets: [String])
        case unreadable(RegistrationScan.Failure)
        case readable(directory: String)
        case truncated
    }

    /// The most calls in flight: each has a connection of its own.
    static let maximumCalls = 16
    static let keptFailures = 2
    static let retries = Backoff(initial: .seconds(5), maximum: .seconds(300))

    private enum State: Sendable {
        /// To be called. `previous`: the plugin of the socket that this one has replaced.
        case pending(due: Duration, failures: Int, previous: RegisteredPlugin?)
        case registered(RegisteredPlugin)
        /// Of another type, or rejected.
        case ignored
    }

    private struct Entry: Sendable {
        var socket: RegistrationSocket
        var state: State

        var plugin: RegisteredPlugin? {
            switch state {
            case .pending(_, _, let previous): previous
            case .registered(let plugin): plugin
            case .ignored: nil
            }
        }
    }

    /// By path.
    private var entries: [String: Entry] = [:]
    private var inFlight: Set<RegistrationSocket> = []
    private var unreadable: Set<String> = []
    private var isTruncated = false
    /// The sockets of each name that more than one has.
    private var duplicates: [String: [String]] = [:]
    /// The CSI drivers, by name.
    private(set) var plugins: [RegisteredPlugin] = []

    /// The directory was read.
    mutating func update(_ scan: RegistrationScan, at now: Duration) -> [Notice] {
        let found = Set(scan.sockets.map(\.path))
        entries = entries.filter { path, _ in
            found.contains(path) || scan.failures.contains { path.hasPrefix($0.directory + "/") }
        }
        for socket in scan.sockets where entries[socket.path]?.socket != socket {
            let state = State.pending(due: now, failures: 0, previous: entries[socket.path]?.plugin)
            entries[socket.path] = Entry(socket: socket, state: state)
        }
        let failing = Set(scan.failures.map(\.directory))
        var notices = scan.failures.filter { !unreadable.contains($0.directory) }.map(Notice.unreadable)
        notices += unreadable.subtracting(failing).sorted().map(Notice.readable)
        unreadable = failing
        if scan.isTruncated, !isTruncated { notices.append(.truncated) }
        isTruncated = scan.isTruncated
        return notices + choosePlugins()
    }

    /// The sockets to call now, those that have waited longest first. Each is in flight until ``complete(_:_:at:)``.
    mutating func takeCalls(at now: Duration) -> [RegistrationSocket] {
        let due = entries.values.compactMap { entry -> (due: Duration, socket: RegistrationSocket)? in
            guard case .pending(let due, _, _) = entry.state, due <= now, !inFlight.contains(entry.socket) else {
                return nil
            }
            return (due, entry.socket)
        }
        let calls = due.sorted { ($0.due, $0.socket.path) < ($1.due, $1.socket.path) }
            .prefix(max(0, Self.maximumCalls - inFlight.count)).map(\.socket)
        inFlight.formUnion(calls)
        return calls
    }

    /// A call has ended. The reply of a socket that is gone, or was created again since, does not count.
    mutating func complete(
        _ socket: RegistrationSocket,
        _ reply: RegistrationReply,
        at now: Duration
    ) -> [Notice] {
        inFlight.remove(socket)
        guard let entry = entries[socket.path], entry.socket == socket,
            case .pending(_, let failures, let previous) = entry.state
        else { return [] }
        var notices: [Notice] = []
        let state: State
        switch reply {
        case .plugin(let plugin, let isMounted):
            state = .registered(plugin)
            if !isMounted { notices.append(.notMounted(plugin)) }
        case .otherType: state = .ignored
        case .rejected(let reason):
            state = .ignored
            notices.append(.rejected(socket: socket.path, reason: reason))
        case .failed(let reason):
            let due = now + Self.retries.delay(afterFailures: failures + 1)
            let kept = failures < Self.keptFailures ? previous : nil
            state = .pending(due: due, failures: failures + 1, previous: kept)
            if failures == 0 { notices.append(.failed(socket: socket.path, reason: reason)) }
        }
        entries[socket.path]?.state = state
        return notices + choosePlugins()
    }

    /// Of several sockets that register one driver, the newest counts: as for the kubelet, for which the last
    /// registration replaces the others.
    private mutating func choosePlugins() -> [Notice] {
        let named = entries.values.compactMap { entry in entry.plugin.map { (plugin: $0, socket: entry.socket) } }
        var notices: [Notice] = []
        var duplicates: [String: [String]] = [:]
        plugins = Dictionary(grouping: named, by: \.plugin.name).sorted { $0.key < $1.key }
            .compactMap { name, candidates in
                let newest = candidates.max { $1.socket.isNewer(than: $0.socket) }
                if candidates.count > 1, let newest {
                    let sockets = candidates.map(\.socket.path).sorted()
                    duplicates[name] = sockets
                    if self.duplicates[name] != sockets {
                        notices.append(.duplicate(name: name, newest: newest.socket.path, sockets: sockets))
                    }
                }
                return newest?.plugin
            }
        self.duplicates = duplicates
        return notices
    }
}
