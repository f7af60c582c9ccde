// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl

/// A transfer that libcurl carries out, and what its callbacks receive.
final class ActiveTransfer {
    let transfer: Transfer
    let handle: EasyHandle
    private let start = ContinuousClock.now
    /// When the server last sent something, or the reader last held it up.
    private var lastActivity = ContinuousClock.now
    /// Something has arrived since the waiting task was last woken.
    private var hasArrivals = false
    private var head = HeadParser()

    /// - Throws: Code.invalidRequest, when the URL is invalid; Code.transport, when libcurl refuses another option.
    init(_ transfer: Transfer, settings: ClientSettings) throws(HTTPError) {
        self.transfer = transfer
        handle = try EasyHandle(settings: settings)
        do throws(EasyHandle.RefusedOption) {
            try handle.prepare(transfer.request, for: self)
        } catch {
            throw self.error(error.code)
        }
    }

    /// How the transfer ended, from libcurl's result.
    func result(_ code: CURLcode) -> Result<Void, HTTPError> {
        code == CURLE_OK ? .success(()) : .failure(error(code))
    }

    private func error(_ code: CURLcode) -> HTTPError {
        var error = HTTPError(code, detail: handle.errorText, request: transfer.request)
        // On a reused connection that ends without a response, libcurl sends the request again, whatever its method
        // (lib/transfer.c of 7.88.1, Curl_retry_request): the server behind the first one may have applied it.
        // A TLS alert in place of the response (CURLE_RECV_ERROR) refuses the request that was sent last. Whether
        // libcurl had sent it before is unknown here.
        let isConnecting = error.code == .connect || error.code == .tls && code != CURLE_RECV_ERROR
        if isConnecting, handle.hasSentRequest {
            error.code = .transport
            error.message += ": the request was sent on an earlier connection, it may have been received"
        }
        // CURLOPT_CONNECTTIMEOUT_MS(3): libcurl has one code for all timeouts.
        if error.code == .timeout, !handle.hasSentRequest { error.code = .connect }
        return error
    }

    /// The error of a timeout: ``HTTPError/Code/connect`` while there is no connection, TLS included, on which the
    /// request could be sent.
    private func timedOut(after timeout: Duration, _ missing: String) -> HTTPError {
        handle.hasSentRequest
            ? HTTPError(code: .timeout, message: "\(transfer.request): \(missing) \(timeout)")
            : HTTPError(code: .connect, message: "\(transfer.request): not connected after \(timeout)")
    }

    /// Continues after a pause.
    func resume() {
        lastActivity = .now
        handle.resume()
    }

    /// Once for all that arrived in one go: waking a task costs more than receiving.
    func wakeWaiter() {
        guard hasArrivals else { return }
        hasArrivals = false
        transfer.wake()
    }

    /// Returns the error of a timeout that has passed. Otherwise shortens `wait` so that it ends with the next one.
    func checkTimeouts(at now: ContinuousClock.Instant, shortening wait: inout Duration) -> HTTPError? {
        let request = transfer.request
        if transfer.isPaused { lastActivity = now }
        if let idle = transfer.idleTimeout {
            let remaining = idle - (now - lastActivity)
            if remaining <= .zero { return timedOut(after: idle, "nothing received for") }
            wait = min(wait, remaining)
        }
        if let total = request.timeouts.total {
            let remaining = total - (now - start)
            if remaining <= .zero { return timedOut(after: total, "not complete after") }
            wait = min(wait, remaining)
        }
        return nil
    }
}

// MARK: Callbacks of libcurl

extension ActiveTransfer {
    /// CURLOPT_HEADERFUNCTION(3): one line, with its line end.
    func receiveHeader(_ line: UnsafeRawBufferPointer) {
        lastActivity = .now
        guard let head = unsafe head.receive(line) else { return }
        transfer.receive(head)
        hasArrivals = true
    }

    /// CURLOPT_WRITEFUNCTION(3): some bytes of the body. Returns how many were taken; any other number than all of them
    /// fails the transfer with CURLE_WRITE_ERROR. After a pause libcurl delivers the same bytes again.
    func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        lastActivity = .now
        hasArrivals = true
        switch unsafe transfer.receive([UInt8](bytes)) {
        case .taken: return bytes.count
        case .paused: return CCurl_writefunc_pause()
        case .overflowed:
            handle.forbidConnectionReuse()
            return 0
        }
    }
}
