// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl
import Glibc
import Synchronization

/// libcurl's multi handle, and the thread that drives it.
///
/// libcurl's handles are used by that thread alone; tasks leave commands for it and wake it up.
@safe
final class CurlEventLoop: Sendable {
    enum Command: Sendable {
        case start(Transfer)
        case resume(Transfer)
        case cancel(Transfer)
        /// For the transfers that start after it.
        case use(TLSConfiguration)
    }

    private struct State {
        var commands: [Command] = []
        var isShutDown = false
        /// The multi handle is gone.
        var hasEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// Used by the thread only, once that runs.
    nonisolated(unsafe) private var settings: ClientSettings
    /// `CURLM *`; used by the thread only, but for curl_multi_wakeup(3), which may be called from every thread.
    nonisolated(unsafe) private let multi: UnsafeMutableRawPointer
    private let state = Mutex(State())

    init(configuration: HTTPClient.Configuration) throws(HTTPError) {
        let settings = try ClientSettings(configuration)
        unsafe self.settings = settings
        guard let multi = unsafe curl_multi_init() else {
            throw HTTPError(code: .transport, message: "libcurl cannot be initialised")
        }
        // curl_multi_wakeup(3): fails where curl_multi_init(3) found no file descriptors for it.
        guard unsafe curl_multi_wakeup(multi) == CURLM_OK else {
            unsafe curl_multi_cleanup(multi)
            throw HTTPError(code: .transport, message: "libcurl cannot be initialised: too many open files")
        }
        unsafe self.multi = unsafe multi
        // CURLMOPT_MAXCONNECTS(3): those in use count too, and while there are more of them none is kept when its transfer
        // ends: then every request makes one anew, TLS and all. More than are ever in use together.
        unsafe CCurl_multi_setopt_long(multi, CURLMOPT_MAXCONNECTS, 64)
        startThread()
    }

    /// Leaves a command for the thread. After the shutdown a transfer that starts ends at once.
    func send(_ command: Command) {
        let isAccepted = state.withLock { state in
            guard !state.isShutDown else { return false }
            state.commands.append(command)
            // The thread takes all commands at once: one signal is enough for all that wait.
            if state.commands.count == 1 { wakeUp() }
            return true
        }
        if !isAccepted, case .start(let transfer) = command { transfer.complete(.failure(.shutDown)) }
    }

    /// Ends all transfers; the thread ends after that.
    func beginShutdown() {
        state.withLock { state in
            guard !state.isShutDown else { return }
            state.isShutDown = true
            wakeUp()
        }
    }

    /// Ends the thread's wait, or its next one. Called with the lock: the multi handle is there until the thread has seen
    /// `isShutDown`.
    private func wakeUp() {
        // curl_multi_wakeup(3): fails only for a multi handle without a wake-up descriptor, which `init` has refused.
        unsafe _ = curl_multi_wakeup(multi)
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
                unsafe Unmanaged<CurlEventLoop>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            unsafe argument.toOpaque()
        )
        precondition(failure == 0, "cannot start a thread: error \(failure)")
        pthread_detach(thread)
    }
}

// MARK: The thread

extension CurlEventLoop {
    /// The thread's own.
    private struct Work {
        var transfers: [ObjectIdentifier: ActiveTransfer] = [:]
    }

    private func run() {
        var work = Work()
        while drainCommands(&work) {
            var running: CInt = 0
            // curl_multi_perform(3): what goes wrong with a transfer is reported when it ends.
            unsafe _ = curl_multi_perform(multi, &running)
            finishTransfers(&work)
            for active in work.transfers.values where active.hasNews {
                active.hasNews = false
                active.transfer.wake()
            }
            let timeout = checkTimeouts(&work)
            // curl_multi_poll(3): ends early for a socket, for a timer of libcurl's and for curl_multi_wakeup.
            unsafe _ = curl_multi_poll(multi, nil, 0, timeout, nil)
        }
        for active in Array(work.transfers.values) { end(active, .failure(.shutDown), &work) }
        unsafe curl_multi_cleanup(multi)
        let waiters = state.withLock { state in
            state.hasEnded = true
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Carries out the commands that tasks have left. Returns false when the shutdown has begun.
    private func drainCommands(_ work: inout Work) -> Bool {
        let (commands, isShutDown) = state.withLock { state in
            defer { state.commands = [] }
            return (state.commands, state.isShutDown)
        }
        for command in commands { perform(command, &work) }
        return !isShutDown
    }

    private func perform(_ command: Command, _ work: inout Work) {
        switch command {
        case .start(let transfer):
            // Cancelled before it was started.
            guard !transfer.hasEnded else { return }
            do throws(HTTPError) {
                let active = unsafe try ActiveTransfer(transfer, settings: settings)
                work.transfers[ObjectIdentifier(transfer)] = active
                unsafe curl_multi_add_handle(multi, active.handle.pointer)
            } catch {
                transfer.complete(.failure(error))
            }
        case .use(let tls):
            // `TLSFiles.read` has checked it. One that cannot be used changes nothing.
            guard let changed = unsafe try? settings.with(tls) else { break }
            unsafe settings = changed
        case .resume(let transfer):
            work.transfers[ObjectIdentifier(transfer)]?.resume()
        case .cancel(let transfer):
            let failure = HTTPError(code: .cancelled, message: "\(transfer.request): cancelled")
            if let active = work.transfers[ObjectIdentifier(transfer)] {
                giveUp(active, failure, &work)
            } else {
                // Not started yet, and it must find itself ended then; or over already.
                transfer.complete(.failure(failure))
            }
        }
    }

    private func finishTransfers(_ work: inout Work) {
        var remaining: Int32 = 0
        while let message = unsafe curl_multi_info_read(multi, &remaining) {
            guard unsafe message.pointee.msg == CURLMSG_DONE else { continue }
            // Few transfers run at a time.
            let finished = work.transfers.values.first { unsafe $0.handle.pointer == message.pointee.easy_handle }
            guard let finished else { continue }
            unsafe end(finished, finished.end(CCurl_message_result(message)), &work)
        }
    }

    /// Ends a transfer that is not over.
    private func giveUp(_ active: ActiveTransfer, _ failure: HTTPError, _ work: inout Work) {
        active.handle.giveUpConnection()
        end(active, .failure(failure), &work)
    }

    private func end(_ active: ActiveTransfer, _ end: Result<Void, HTTPError>, _ work: inout Work) {
        unsafe curl_multi_remove_handle(multi, active.handle.pointer)
        work.transfers[ObjectIdentifier(active.transfer)] = nil
        active.transfer.complete(end)
    }

    /// Ends transfers whose time is over. Returns the milliseconds until that may be so for the next one.
    ///
    /// CURLOPT_TIMEOUT_MS counts the time while a transfer is paused.
    private func checkTimeouts(_ work: inout Work) -> Int32 {
        let now = ContinuousClock.now
        var wait = Duration.seconds(60)
        for active in Array(work.transfers.values) {
            let timeouts = active.transfer.request.timeouts
            if active.transfer.isPaused { active.lastActivity = now }
            let idleTimeout = active.transfer.idleTimeout
            if let idle = idleTimeout, now - active.lastActivity >= idle {
                giveUp(active, .timeout(active, "nothing received for \(idle)"), &work)
            } else if let total = timeouts.total, now - active.start >= total {
                giveUp(active, .timeout(active, "not complete after \(total)"), &work)
            } else {
                if let idle = idleTimeout { wait = min(wait, idle - (now - active.lastActivity)) }
                if let total = timeouts.total { wait = min(wait, total - (now - active.start)) }
            }
        }
        let (seconds, attoseconds) = wait.components
        return Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
    }
}

extension HTTPError {
    fileprivate static let shutDown = HTTPError(code: .shutdown, message: "the HTTP client is shut down")

    fileprivate static func timeout(_ active: ActiveTransfer, _ reason: String) -> HTTPError {
        HTTPError(code: .timeout, message: "\(active.transfer.request): \(reason)")
    }
}
