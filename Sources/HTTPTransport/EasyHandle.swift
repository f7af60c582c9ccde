// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl
import Synchronization

/// A transfer's `CURL *` and all that libcurl reads and writes for it. Used by the loop's thread only.
@safe
final class EasyHandle {
    /// `CURL *`
    let pointer: UnsafeMutableRawPointer
    let transfer: Transfer
    private let loop: TransferLoop
    /// For the total timeout.
    let start = ContinuousClock.now
    /// When the server last sent something, for the idle timeout.
    var lastActivity = ContinuousClock.now
    /// `struct curl_slist *`: must stay until the handle is gone.
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var connectToList: UnsafeMutablePointer<curl_slist>?
    /// Where libcurl writes its sentence about a failure.
    private let errorBuffer: UnsafeMutablePointer<CChar>
    private var head = HeadParser()

    /// - Throws: when libcurl refuses an option, which for the URL means that it is none.
    init(_ transfer: Transfer, loop: TransferLoop) throws(HTTPError) {
        guard let pointer = unsafe curl_easy_init() else {
            throw HTTPError(code: .transport, message: "\(transfer.request): libcurl has no memory for a transfer")
        }
        unsafe self.pointer = unsafe pointer
        self.transfer = transfer
        self.loop = loop
        loop.liveHandles.add(1, ordering: .relaxed)
        unsafe errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        let failure = configure(loop.configuration)
        if failure != CURLE_OK {
            throw error(failure)
        }
    }

    deinit {
        // curl_easy_cleanup(3): not before the handle was removed from the multi handle; what it refers to goes after it.
        unsafe curl_easy_cleanup(pointer)
        unsafe curl_slist_free_all(headerList)
        unsafe curl_slist_free_all(connectToList)
        unsafe errorBuffer.deallocate()
        loop.liveHandles.subtract(1, ordering: .relaxed)
    }

    /// How the transfer ended, from libcurl's result.
    func end(_ result: CURLcode) -> Result<Void, HTTPError> {
        result == CURLE_OK ? .success(()) : .failure(error(result))
    }

    /// To be called before a transfer ends early: its connection closes with it.
    func giveUpConnection() {
        // CURLOPT_FORBID_REUSE(3): read when the transfer ends.
        unsafe _ = CCurl_setopt_long(pointer, CURLOPT_FORBID_REUSE, 1)
    }

    /// Goes on after a pause.
    func resume() {
        lastActivity = .now
        // curl_easy_pause(3): what was held back may be delivered through the callback before this returns.
        unsafe _ = curl_easy_pause(pointer, CURLPAUSE_CONT)
    }

    private func error(_ result: CURLcode) -> HTTPError {
        unsafe HTTPError(result, detail: String(cString: errorBuffer), request: transfer.request)
    }

    /// CURLOPT_HEADERFUNCTION: one line, with its line end.
    fileprivate func receiveHeader(_ line: UnsafeRawBufferPointer) {
        lastActivity = .now
        guard let head = unsafe head.receive(String(decoding: line, as: UTF8.self)) else { return }
        transfer.receive(head)
    }

    /// CURLOPT_WRITEFUNCTION: some bytes of the body.
    fileprivate func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        lastActivity = .now
        // CURLOPT_WRITEFUNCTION(3): after a pause the same bytes are delivered again.
        // Another number than was offered fails the transfer with CURLE_WRITE_ERROR.
        switch unsafe transfer.receive([UInt8](bytes)) {
        case .taken: return bytes.count
        case .paused: return CCurl_writefunc_pause()
        case .overflown:
            giveUpConnection()
            return 0
        }
    }
}

// MARK: Options

extension EasyHandle {
    /// Returns the first refusal.
    private func configure(_ configuration: HTTPClient.Configuration) -> CURLcode {
        let request = transfer.request
        var result = CURLE_OK
        func set(_ code: CURLcode) {
            if result == CURLE_OK { result = code }
        }
        unsafe set(CCurl_setopt_pointer(pointer, CURLOPT_ERRORBUFFER, errorBuffer))
        unsafe set(CCurl_setopt_string(pointer, CURLOPT_PROTOCOLS_STR, "http,https"))
        unsafe set(CCurl_setopt_string(pointer, CURLOPT_USERAGENT, configuration.userAgent))
        // CURLOPT_NOSIGNAL(3): to be set in programs with threads.
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_NOSIGNAL, 1))
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_TCP_KEEPALIVE, 1))
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1)))
        // The headers of a proxy's answer to CONNECT are none of the response's.
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1))
        if let proxy = configuration.proxy {
            unsafe set(CCurl_setopt_string(pointer, CURLOPT_PROXY, proxy))
        }
        let connect = request.timeouts.connect.milliseconds
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_CONNECTTIMEOUT_MS, connect))
        set(setMethod(request))
        var headers = request.headers
        set(setServer(request, name: configuration.tls.serverName, &headers))
        set(setHeaders(headers, hasBody: request.body != nil))
        set(setTLS(configuration.tls))
        set(setCallbacks())
        return result
    }

    private func setMethod(_ request: HTTPRequest) -> CURLcode {
        if request.method == "HEAD" { return unsafe CCurl_setopt_long(pointer, CURLOPT_NOBODY, 1) }
        var result = CURLE_OK
        if let body = request.body {
            result = unsafe body.withUnsafeBytes { unsafe CCurl_setopt_body(pointer, $0.baseAddress, $0.count) }
        }
        guard result == CURLE_OK else { return result }
        return unsafe CCurl_setopt_string(pointer, CURLOPT_CUSTOMREQUEST, request.method)
    }

    private func setServer(_ request: HTTPRequest, name: String?, _ headers: inout HTTPHeaders) -> CURLcode {
        guard let name else { return unsafe CCurl_setopt_string(pointer, CURLOPT_URL, request.url) }
        guard let server = RenamedServer(request.url, name: name) else { return CURLE_URL_MALFORMAT }
        headers["Host"] = server.host
        unsafe connectToList = curl_slist_append(nil, server.connectTo)
        guard unsafe connectToList != nil else { return CURLE_OUT_OF_MEMORY }
        let result = unsafe CCurl_setopt_string(pointer, CURLOPT_URL, server.url)
        return result == CURLE_OK ? unsafe CCurl_setopt_list(pointer, CURLOPT_CONNECT_TO, connectToList) : result
    }

    private func setHeaders(_ headers: HTTPHeaders, hasBody: Bool) -> CURLcode {
        var headers = headers
        // CURLOPT_HTTPHEADER(3): a name with nothing behind it keeps libcurl from adding its own. A form is what it
        // takes every body for, and waiting for "100 Continue" only costs time.
        if hasBody {
            if headers["Content-Type"] == nil { headers.add("Content-Type", "") }
            headers.add("Expect", "")
        }
        for field in headers.fields {
            guard !field.name.utf8.contains(where: isLineEnd), !field.value.utf8.contains(where: isLineEnd) else {
                return CURLE_BAD_FUNCTION_ARGUMENT
            }
            // curl_slist_append(3): copies the string; returns NULL and leaves the list as it is when it has no memory.
            guard let list = unsafe curl_slist_append(headerList, "\(field.name): \(field.value)") else {
                return CURLE_OUT_OF_MEMORY
            }
            unsafe headerList = list
        }
        return unsafe CCurl_setopt_list(pointer, CURLOPT_HTTPHEADER, headerList)
    }

    private func setTLS(_ tls: TLSConfiguration) -> CURLcode {
        var result = unsafe CCurl_setopt_long(pointer, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2)
        func set(_ code: CURLcode) {
            if result == CURLE_OK { result = code }
        }
        // CURLOPT_SSL_VERIFYHOST(3): 2 checks the name, 0 does not.
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_SSL_VERIFYPEER, tls.verifiesServer ? 1 : 0))
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_SSL_VERIFYHOST, tls.verifiesServer ? 2 : 0))
        if let authorities = tls.certificateAuthorities {
            set(setBlob(CURLOPT_CAINFO_BLOB, authorities))
            // These authorities and no others: the directory that libcurl was built with would be asked too.
            unsafe set(CCurl_setopt_string(pointer, CURLOPT_CAPATH, nil))
        }
        if let client = tls.clientCertificate {
            set(setBlob(CURLOPT_SSLCERT_BLOB, client.certificate))
            set(setBlob(CURLOPT_SSLKEY_BLOB, client.privateKey))
        }
        return result
    }

    private func setBlob(_ option: CURLoption, _ bytes: [UInt8]) -> CURLcode {
        unsafe bytes.withUnsafeBytes { unsafe CCurl_setopt_blob(pointer, option, $0.baseAddress, $0.count) }
    }

    private func setCallbacks() -> CURLcode {
        // The loop holds this object for as long as libcurl may call back.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        let body: CCurl_data_callback = { bytes, size, count, context in
            guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
            let handle = unsafe Unmanaged<EasyHandle>.fromOpaque(context).takeUnretainedValue()
            return unsafe handle.receiveBody(UnsafeRawBufferPointer(start: bytes, count: size * count))
        }
        let header: CCurl_data_callback = { bytes, size, count, context in
            guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
            let handle = unsafe Unmanaged<EasyHandle>.fromOpaque(context).takeUnretainedValue()
            unsafe handle.receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
            return size * count
        }
        let codes = unsafe [
            CCurl_setopt_callback(pointer, CURLOPT_WRITEFUNCTION, body),
            CCurl_setopt_pointer(pointer, CURLOPT_WRITEDATA, context),
            CCurl_setopt_callback(pointer, CURLOPT_HEADERFUNCTION, header),
            CCurl_setopt_pointer(pointer, CURLOPT_HEADERDATA, context),
        ]
        return codes.first { $0 != CURLE_OK } ?? CURLE_OK
    }
}

private func isLineEnd(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n")
}

extension Duration {
    /// At least 1: libcurl takes 0 for "for ever".
    fileprivate var milliseconds: Int {
        let (seconds, attoseconds) = components
        return max(1, Int(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    }
}
