// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl
import Threads

/// A `CURLM *` and the transfers that it carries out. Belongs to the thread of a ``CurlEventLoop``.
@safe
final class MultiHandle {
    private let thread = OwningThread()
    private let handle: UnsafeMutableRawPointer
    private var settings: ClientSettings
    private var transfers: [ObjectIdentifier: ActiveTransfer] = [:]

    /// - Parameter handle: a `CURLM *`, owned by this object from now on.
    init(_ handle: UnsafeMutableRawPointer, settings: ClientSettings) {
        unsafe self.handle = unsafe handle
        self.settings = settings
        // CURLMOPT_MAXCONNECTS(3): how many connections libcurl keeps, those in use included. While more transfers run,
        // each connection is closed after its transfer, and every request needs a new TLS handshake. In an outage there
        // are up to 32 events and 32 statuses in flight, a few other reports, and the watches.
        unsafe CCurl_multi_setopt_long(handle, CURLMOPT_MAXCONNECTS, 128)
    }

    /// Every call to libcurl takes the handle from here.
    private var pointer: UnsafeMutableRawPointer {
        thread.preconditionIsCurrent()
        return unsafe handle
    }

    func execute(_ command: CurlEventLoop.Command) {
        switch command {
        case .start(let transfer): start(transfer)
        case .resume(let transfer): transfers[ObjectIdentifier(transfer)]?.resume()
        case .cancel(let transfer): cancel(transfer)
        case .use(let tls):
            // `TLSFiles.read` has checked it. A configuration that cannot be used changes nothing.
            if let changed = try? settings.with(tls) { settings = changed }
        }
    }

    /// Sends and receives what can be sent and received without waiting, and wakes the tasks that wait for it.
    func perform() {
        var running: CInt = 0
        // curl_multi_perform(3): the failure of one transfer is reported by curl_multi_info_read.
        unsafe _ = curl_multi_perform(pointer, &running)
        var remaining: CInt = 0
        while let message = unsafe curl_multi_info_read(pointer, &remaining) {
            guard unsafe message.pointee.msg == CURLMSG_DONE else { continue }
            let finished = transfers.values.first { unsafe $0.handle.pointer == message.pointee.easy_handle }
            guard let finished else { continue }
            unsafe end(finished, finished.result(CCurl_message_result(message)))
        }
        for active in transfers.values { active.wakeWaiter() }
    }

    /// Waits until `perform` has something to do, a command arrives, or `timeout` has passed.
    func poll(atMost timeout: Duration) {
        // curl_multi_poll(3): ends early for sockets, libcurl's own timers and curl_multi_wakeup.
        unsafe _ = curl_multi_poll(pointer, nil, 0, CInt(clamping: timeout.milliseconds), nil)
    }

    /// Ends the transfers whose timeouts have passed. Returns the time until the next one may, a minute at most.
    ///
    /// Not left to CURLOPT_TIMEOUT_MS, which also counts the time in which a transfer is paused, and has no idle
    /// timeout.
    func failOverdueTransfers() -> Duration {
        let now = ContinuousClock.now
        var wait = Duration.seconds(60)
        for active in Array(transfers.values) {
            if let error = active.checkTimeouts(at: now, shortening: &wait) { abort(active, error) }
        }
        return wait
    }

    /// Ends all transfers and frees the handle, which must not be used after this.
    func close() {
        for active in Array(transfers.values) { end(active, .failure(.shutDown)) }
        unsafe curl_multi_cleanup(pointer)
    }

    private func start(_ transfer: Transfer) {
        // It may have been cancelled before this.
        guard !transfer.hasEnded else { return }
        do throws(HTTPError) {
            let active = try ActiveTransfer(transfer, settings: settings)
            transfers[ObjectIdentifier(transfer)] = active
            unsafe curl_multi_add_handle(pointer, active.handle.pointer)
        } catch {
            transfer.complete(.failure(error))
        }
    }

    private func cancel(_ transfer: Transfer) {
        let error = HTTPError(code: .cancelled, message: "\(transfer.request): cancelled")
        if let active = transfers[ObjectIdentifier(transfer)] {
            abort(active, error)
        } else {
            // Not started yet, so that `start` finds it ended; or ended already, which this does not change.
            transfer.complete(.failure(error))
        }
    }

    /// Ends a transfer early.
    private func abort(_ active: ActiveTransfer, _ error: HTTPError) {
        active.handle.forbidConnectionReuse()
        end(active, .failure(error))
    }

    private func end(_ active: ActiveTransfer, _ result: Result<Void, HTTPError>) {
        unsafe curl_multi_remove_handle(pointer, active.handle.pointer)
        transfers[ObjectIdentifier(active.transfer)] = nil
        active.transfer.complete(result)
    }
}
