// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl

/// A transfer that libcurl carries out. Used by the loop's thread only.
final class ActiveTransfer {
    let transfer: Transfer
    let handle: EasyHandle
    /// For the total timeout.
    let start = ContinuousClock.now
    /// When the server last sent something, for the idle timeout.
    var lastActivity = ContinuousClock.now
    /// Something has arrived of which nobody was reported.
    var hasNews = false
    private var head = HeadParser()

    /// - Throws: InvalidRequest, when the URL is invalid; Transport, when libcurl refuses another option.
    init(_ transfer: Transfer, settings: ClientSettings) throws(HTTPError) {
        self.transfer = transfer
        handle = try EasyHandle(settings: settings)
        let refusal = handle.prepare(transfer.request, for: self)
        if refusal != CURLE_OK { throw error(refusal) }
    }

    /// How the transfer ended, from libcurl's result.
    func end(_ result: CURLcode) -> Result<Void, HTTPError> {
        result == CURLE_OK ? .success(()) : .failure(error(result))
    }

    /// Goes on after a pause.
    func resume() {
        lastActivity = .now
        handle.resume()
    }

    private func error(_ result: CURLcode) -> HTTPError {
        HTTPError(result, detail: handle.errorText, request: transfer.request)
    }

    /// CURLOPT_HEADERFUNCTION: one line, with its line end.
    func receiveHeader(_ line: UnsafeRawBufferPointer) {
        lastActivity = .now
        guard let head = unsafe head.receive(line) else { return }
        transfer.receive(head)
        hasNews = true
    }

    /// CURLOPT_WRITEFUNCTION: some bytes of the body.
    func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        lastActivity = .now
        hasNews = true
        // CURLOPT_WRITEFUNCTION(3): after a pause the same bytes are delivered again.
        // Another number than was offered fails the transfer with CURLE_WRITE_ERROR.
        switch unsafe transfer.receive([UInt8](bytes)) {
        case .taken: return bytes.count
        case .paused: return CCurl_writefunc_pause()
        case .overflowed:
            handle.giveUpConnection()
            return 0
        }
    }
}
