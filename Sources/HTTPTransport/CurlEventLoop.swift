// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl
import Synchronization
import Threads

/// The thread that carries out a client's transfers.
///
/// Tasks post commands; the thread takes them, lets libcurl transfer what it can, and waits for sockets, timers and the
/// next command. Only the thread uses libcurl's handles.
@safe
final class CurlEventLoop: Sendable {
    enum Command: Sendable {
        case start(Transfer)
        /// Continues a paused transfer.
        case resume(Transfer)
        case cancel(Transfer)
        /// For the transfers that start after it.
        case use(TLSConfiguration)
    }

    private struct State {
        var commands: [Command] = []
        var isShutDown = false
    }

    private let settings: ClientSettings
    /// `CURLM *`, which the thread frees once it has seen `isShutDown`. Safe: it belongs to the thread, but for
    /// curl_multi_wakeup(3), which every thread may call.
    nonisolated(unsafe) private let multi: UnsafeMutableRawPointer
    private let thread = DedicatedThread()
    /// No other lock is taken while this one is held.
    private let state = Mutex(State())

    /// - Throws: Code.tls, when the authorities, the client certificate or its key cannot be used; Code.transport, when
    ///   libcurl cannot be initialised.
    init(configuration: HTTPClient.Configuration) throws(HTTPError) {
        settings = try ClientSettings(configuration)
        guard let multi = unsafe curl_multi_init() else {
            throw HTTPError(code: .transport, message: "libcurl cannot be initialised")
        }
        // curl_multi_wakeup(3): fails when curl_multi_init(3) could not open a file descriptor for it.
        guard unsafe curl_multi_wakeup(multi) == CURLM_OK else {
            unsafe curl_multi_cleanup(multi)
            throw HTTPError(code: .transport, message: "libcurl cannot be initialised: too many open files")
        }
        unsafe self.multi = unsafe multi
        thread.start { self.run() }
    }

    /// Posts a command to the thread. After the shutdown a transfer that would start fails at once.
    func send(_ command: Command) {
        let isAccepted = state.withLock { state in
            guard !state.isShutDown else { return false }
            state.commands.append(command)
            // The thread takes all commands at once, so the first one's signal does for the others.
            if state.commands.count == 1 { wakeUp() }
            return true
        }
        if !isAccepted, case .start(let transfer) = command { transfer.complete(.failure(.shutDown)) }
    }

    /// Ends all transfers, and then the thread. May be called more than once.
    func beginShutdown() {
        state.withLock { state in
            guard !state.isShutDown else { return }
            state.isShutDown = true
            wakeUp()
        }
    }

    /// Returns when the thread has ended, which needs ``beginShutdown()``.
    func ended() async {
        await thread.ended()
    }

    /// Ends the thread's wait, or else its next one. To be called with the lock held: the thread frees the multi handle
    /// after it has seen `isShutDown`.
    private func wakeUp() {
        // Cannot fail: `init` has tried.
        unsafe _ = curl_multi_wakeup(multi)
    }

    private func run() {
        let handle = unsafe MultiHandle(multi, settings: settings)
        while true {
            let (commands, isShutDown) = state.withLock { state in
                defer { state.commands = [] }
                return (state.commands, state.isShutDown)
            }
            for command in commands { handle.execute(command) }
            if isShutDown { break }
            handle.perform()
            handle.poll(atMost: handle.failOverdueTransfers())
        }
        handle.close()
    }
}

extension HTTPError {
    static let shutDown = HTTPError(code: .shutdown, message: "the HTTP client is shut down")
}
