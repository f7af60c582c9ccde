// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl
import Glibc
import Synchronization

/// libcurl's multi handle, and the thread that drives it.
///
/// libcurl's handles are used by that thread alone; tasks leave commands for it and wake it up.
@safe
final class TransferLoop: Sendable {
    enum Command: Sendable {
        case start(Transfer)
        case resume(Transfer)
        case cancel(Transfer)
    }

    private struct State {
        var commands: [Command] = []
        var isShutDown = false
        /// The multi handle is gone.
        var hasEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    let configuration: HTTPClient.Configuration
    /// `CURLM *`. Off the thread it is used for `curl_multi_wakeup` only, which may be called from every thread, and
    /// under the lock, and not after the shutdown has begun.
    nonisolated(unsafe) private let multi: UnsafeMutableRawPointer
    private let state = Mutex(State())
    /// How many of libcurl's handles were made and not yet given back: for tests of leaks.
    let liveHandles = Atomic(0)

    init(configuration: HTTPClient.Configuration) throws(HTTPError) {
        guard Self.isLibraryReady, let multi = unsafe curl_multi_init() else {
            throw HTTPError(code: .transport, message: "libcurl cannot be initialised")
        }
        self.configuration = configuration
        unsafe self.multi = unsafe multi
        liveHandles.add(1, ordering: .relaxed)
        // CURLMOPT_MAXCONNECTS(3): those in use count too, and while there are more of them none is kept when its transfer
        // ends: then every request makes one anew, TLS and all. More than are ever in use together.
        unsafe CCurl_multi_setopt_long(multi, CURLMOPT_MAXCONNECTS, 64)
        startThread()
    }

    /// curl_global_init(3): once in a process, before anything else; never taken back.
    private static let isLibraryReady = CCurl_global_init() == CURLE_OK

    /// Leaves a command for the thread. After the shutdown a transfer that starts ends at once.
    func send(_ command: Command) {
        let isAccepted = state.withLock { state in
            if state.isShutDown { return false }
            // Where others wait already, the thread is on its way.
            if state.commands.isEmpty { unsafe curl_multi_wakeup(multi) }
            state.commands.append(command)
            return true
        }
        if !isAccepted, case .start(let transfer) = command { transfer.complete(.failure(.shutDown)) }
    }

    /// Ends all transfers; the thread ends after that.
    func beginShutdown() {
        state.withLock { state in
            guard !state.isShutDown else { return }
            state.isShutDown = true
            unsafe curl_multi_wakeup(multi)
        }
    }

    /// Returns when the thread has ended, which needs ``beginShutdown()``.
    func ended() async {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.hasEnded { state.waiters.append(continuation) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
    }

    private func startThread() {
        var thread = pthread_t()
        // The thread owns the loop until it ends: retained here, taken once by the thread.
        let argument = unsafe Unmanaged.passRetained(self)
        let failure = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<TransferLoop>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            unsafe argument.toOpaque()
        )
        precondition(failure == 0, "cannot start a thread: error \(failure)")
        pthread_detach(thread)
    }
}

// MARK: The thread

extension TransferLoop {
    private typealias Handles = [ObjectIdentifier: EasyHandle]

    private func run() {
        var handles: Handles = [:]
        while true {
            let (commands, isShutDown) = state.withLock { state in
                defer { state.commands = [] }
                return (state.commands, state.isShutDown)
            }
            for command in commands { perform(command, &handles) }
            if isShutDown { break }
            var running: Int32 = 0
            unsafe curl_multi_perform(multi, &running)
            finishTransfers(&handles)
            let timeout = checkTimeouts(&handles)
            // curl_multi_poll(3): returns early when something happens on a connection, a timer of libcurl's is due, or
            // curl_multi_wakeup was called, even before.
            unsafe curl_multi_poll(multi, nil, 0, timeout, nil)
        }
        for handle in Array(handles.values) { end(handle, .failure(.shutDown), &handles) }
        // Nobody wakes it up any more: that ended with the beginning of the shutdown, under the lock.
        unsafe curl_multi_cleanup(multi)
        liveHandles.subtract(1, ordering: .relaxed)
        let waiters = state.withLock { state in
            state.hasEnded = true
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func perform(_ command: Command, _ handles: inout Handles) {
        switch command {
        case .start(let transfer):
            // Cancelled before it was started.
            guard !transfer.hasEnded else { return }
            do throws(HTTPError) {
                let handle = try EasyHandle(transfer, loop: self)
                handles[ObjectIdentifier(transfer)] = handle
                unsafe curl_multi_add_handle(multi, handle.pointer)
            } catch {
                transfer.complete(.failure(error))
            }
        case .resume(let transfer):
            handles[ObjectIdentifier(transfer)]?.resume()
        case .cancel(let transfer):
            let failure = HTTPError(code: .cancelled, message: "\(transfer.request): cancelled")
            if let handle = handles[ObjectIdentifier(transfer)] {
                giveUp(handle, failure, &handles)
            } else {
                // Not started yet, and it must find itself ended then; or over already.
                transfer.complete(.failure(failure))
            }
        }
    }

    private func finishTransfers(_ handles: inout Handles) {
        var remaining: Int32 = 0
        while let message = unsafe curl_multi_info_read(multi, &remaining) {
            guard unsafe message.pointee.msg == CURLMSG_DONE else { continue }
            // Few transfers run at a time.
            let finished = handles.values.first { unsafe $0.pointer == message.pointee.easy_handle }
            guard let finished else { continue }
            unsafe end(finished, finished.end(CCurl_message_result(message)), &handles)
        }
    }

    /// Ends a transfer that is not over.
    private func giveUp(_ handle: EasyHandle, _ failure: HTTPError, _ handles: inout Handles) {
        handle.giveUpConnection()
        end(handle, .failure(failure), &handles)
    }

    private func end(_ handle: EasyHandle, _ end: Result<Void, HTTPError>, _ handles: inout Handles) {
        unsafe curl_multi_remove_handle(multi, handle.pointer)
        handles[ObjectIdentifier(handle.transfer)] = nil
        handle.transfer.complete(end)
    }

    /// Ends transfers whose time is over. Returns the milliseconds until that may be so for the next one.
    ///
    /// CURLOPT_TIMEOUT_MS counts the time while a transfer is paused.
    private func checkTimeouts(_ handles: inout Handles) -> Int32 {
        let now = ContinuousClock.now
        var wait = Duration.seconds(60)
        for handle in Array(handles.values) {
            let timeouts = handle.transfer.request.timeouts
            if handle.transfer.isPaused { handle.lastActivity = now }
            let idleTimeout = handle.transfer.idleTimeout
            if let idle = idleTimeout, now - handle.lastActivity >= idle {
                giveUp(handle, .timeout(handle, "nothing received for \(idle)"), &handles)
            } else if let total = timeouts.total, now - handle.start >= total {
                giveUp(handle, .timeout(handle, "not complete after \(total)"), &handles)
            } else {
                if let idle = idleTimeout { wait = min(wait, idle - (now - handle.lastActivity)) }
                if let total = timeouts.total { wait = min(wait, total - (now - handle.start)) }
            }
        }
        let (seconds, attoseconds) = wait.components
        return Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
    }
}

extension HTTPError {
    fileprivate static let shutDown = HTTPError(code: .shutdown, message: "the HTTP client is shut down")

    fileprivate static func timeout(_ handle: EasyHandle, _ reason: String) -> HTTPError {
        HTTPError(code: .timeout, message: "\(handle.transfer.request): \(reason)")
    }
}
