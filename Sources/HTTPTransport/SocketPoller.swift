// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl
import Glibc

/// Ends the wait of a ``SocketPoller``, from every thread and before the wait begins too: a pipe to oneself.
final class WakeUpPipe: Sendable {
    fileprivate let reader: CInt
    private let writer: CInt

    /// - Throws: Transport, when the process may have no more descriptors.
    init() throws(HTTPError) {
        var ends: [CInt] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else {
            throw HTTPError(code: .transport, message: "pipe fails: \(unsafe String(cString: strerror(errno)))")
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (reader, writer) = (ends[0], ends[1])
    }

    deinit {
        close(reader)
        close(writer)
    }

    func signal() {
        // Fails where the pipe is full of signals that nobody has seen yet: one more would say the same.
        unsafe _ = write(writer, [1], 1)
    }

    fileprivate func clear() {
        var bytes = [UInt8](repeating: 0, count: 64)
        while unsafe read(reader, &bytes, bytes.count) == bytes.count {}
    }
}

/// What the thread of a ``CurlEventLoop`` waits for: the sockets and the timer that libcurl asks for, and a signal.
///
/// Only transfers to which something has happened are looked at: `curl_multi_perform`, which needs none of this, asks the
/// kernel about each of them whenever anything happens to one. Used by the loop's thread only.
///
/// Source: libcurl-multi(3), "MULTI_SOCKET"; poll(2).
@safe
final class SocketPoller {
    /// `CURLM *`
    private let multi: UnsafeMutableRawPointer
    private let wakeUp: WakeUpPipe
    /// The signal's first, then libcurl's; few.
    private var sockets: [pollfd]
    /// When libcurl wants to be called although nothing has happened.
    private var timer: ContinuousClock.Instant?

    /// - Parameter multi: is reported to call the poller, which must outlive it.
    init(_ multi: UnsafeMutableRawPointer, wakeUp: WakeUpPipe) {
        unsafe self.multi = unsafe multi
        self.wakeUp = wakeUp
        sockets = [pollfd(fd: wakeUp.reader, events: Int16(POLLIN), revents: 0)]
        setCallbacks()
    }

    /// Waits for so many milliseconds at most, and lets libcurl do what there is to do after that.
    func poll(atMost timeout: CInt) {
        var polled = sockets
        // A signal handler ends it early, which is no harm.
        if unsafe Glibc.poll(&polled, nfds_t(polled.count), self.timeout(atMost: timeout)) > 0 {
            if polled[0].revents != 0 { wakeUp.clear() }
            for socket in polled.dropFirst() where socket.revents != 0 { act(socket.fd, CInt(socket.revents)) }
        }
        if let timer, timer <= .now {
            self.timer = nil
            act(CCurl_socket_timeout(), 0)
        }
    }

    private func timeout(atMost timeout: CInt) -> CInt {
        guard let timer else { return timeout }
        let left = timer - .now
        // Rounded up: libcurl does nothing before its time has come.
        return left <= .zero ? 0 : min(timeout, CInt(clamping: left.attoseconds / 1_000_000_000_000_000 + 1))
    }

    private func act(_ socket: curl_socket_t, _ events: CInt) {
        var action: CInt = 0
        if events & POLLIN != 0 { action |= CURL_CSELECT_IN }
        if events & POLLOUT != 0 { action |= CURL_CSELECT_OUT }
        if events & (POLLERR | POLLHUP | POLLNVAL) != 0 { action |= CURL_CSELECT_ERR }
        // Closed without a word: it must not end every wait from now on.
        if events & POLLNVAL != 0 { watch(socket, CURL_POLL_REMOVE) }
        var running: CInt = 0
        // curl_multi_socket_action(3): what goes wrong with a transfer is reported when it ends.
        unsafe _ = curl_multi_socket_action(multi, socket, action, &running)
    }
}

// MARK: What libcurl asks for

extension SocketPoller {
    private func setCallbacks() {
        // The loop holds this object for as long as the multi handle.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe CCurl_multi_setopt_socket_callback(multi) { _, socket, what, context, _ in
            guard let context = unsafe context else { return 0 }
            unsafe Unmanaged<SocketPoller>.fromOpaque(context).takeUnretainedValue().watch(socket, what)
            return 0
        }
        unsafe CCurl_multi_setopt_pointer(multi, CURLMOPT_SOCKETDATA, context)
        unsafe CCurl_multi_setopt_timer_callback(multi) { _, milliseconds, context in
            guard let context = unsafe context else { return 0 }
            unsafe Unmanaged<SocketPoller>.fromOpaque(context).takeUnretainedValue().setTimer(milliseconds)
            return 0
        }
        unsafe CCurl_multi_setopt_pointer(multi, CURLMOPT_TIMERDATA, context)
    }

    /// CURLMOPT_SOCKETFUNCTION(3)
    private func watch(_ socket: curl_socket_t, _ what: CInt) {
        let index = sockets.dropFirst().firstIndex { $0.fd == socket }
        var events: CInt = 0
        if what == CURL_POLL_IN || what == CURL_POLL_INOUT { events |= POLLIN }
        if what == CURL_POLL_OUT || what == CURL_POLL_INOUT { events |= POLLOUT }
        switch index {
        case let index? where what == CURL_POLL_REMOVE: sockets.remove(at: index)
        case let index?: sockets[index].events = Int16(events)
        case nil where what == CURL_POLL_REMOVE: break
        case nil: sockets.append(pollfd(fd: socket, events: Int16(events), revents: 0))
        }
    }

    /// CURLMOPT_TIMERFUNCTION(3)
    private func setTimer(_ milliseconds: Int) {
        timer = milliseconds < 0 ? nil : .now + .milliseconds(milliseconds)
    }
}
