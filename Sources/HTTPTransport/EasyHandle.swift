// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl

/// A `CURL *` for one transfer, and all that libcurl reads and writes for it. Used by the loop's thread only.
///
/// Not for several transfers: libcurl counts the requests that it sends again because a kept connection had died, for
/// each handle, and refuses after five, however long ago they were. Connections are the multi handle's, and are kept.
@safe
final class EasyHandle {
    /// `CURL *`
    let pointer: UnsafeMutableRawPointer
    private let settings: ClientSettings
    /// `struct curl_slist *`: must outlive the transfer.
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var connectToList: UnsafeMutablePointer<curl_slist>?
    /// Where libcurl writes its sentence about a failure.
    private let errorBuffer: UnsafeMutablePointer<CChar>

    /// - Throws: when there is no memory, or libcurl refuses an option.
    init(settings: ClientSettings) throws(HTTPError) {
        guard let pointer = unsafe curl_easy_init() else {
            throw HTTPError(code: .transport, message: "libcurl has no memory for a transfer")
        }
        unsafe self.pointer = unsafe pointer
        self.settings = settings
        unsafe errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        let refusal = configure(settings.configuration)
        if refusal != CURLE_OK {
            throw HTTPError(
                code: .transport,
                message: "libcurl refuses an option: \(unsafe String(cString: curl_easy_strerror(refusal)))"
            )
        }
    }

    deinit {
        // curl_easy_cleanup(3): not before the handle was removed from the multi handle; what it refers to goes after it.
        unsafe curl_easy_cleanup(pointer)
        unsafe curl_slist_free_all(headerList)
        unsafe curl_slist_free_all(connectToList)
        unsafe errorBuffer.deallocate()
    }

    /// What libcurl says of the last failure.
    var errorText: String { unsafe String(cString: errorBuffer) }

    /// To be called before a transfer ends early: its connection closes with it, and the handle must not be used again.
    func giveUpConnection() {
        // CURLOPT_FORBID_REUSE(3): read when the transfer ends.
        unsafe _ = CCurl_setopt_long(pointer, CURLOPT_FORBID_REUSE, 1)
    }

    /// Goes on after a pause.
    func resume() {
        // curl_easy_pause(3): what was held back may be delivered through the callback before this returns.
        unsafe _ = curl_easy_pause(pointer, CURLPAUSE_CONT)
    }
}

// MARK: Options

extension EasyHandle {
    /// What holds for every request. Returns the first refusal.
    private func configure(_ configuration: HTTPClient.Configuration) -> CURLcode {
        var result = CURLE_OK
        func set(_ code: CURLcode) {
            if result == CURLE_OK { result = code }
        }
        unsafe set(CCurl_setopt_pointer(pointer, CURLOPT_ERRORBUFFER, errorBuffer))
        unsafe set(CCurl_setopt_string(pointer, CURLOPT_PROTOCOLS_STR, "http,https"))
        unsafe set(CCurl_setopt_string(pointer, CURLOPT_USERAGENT, configuration.userAgent))
        // CURLOPT_NOSIGNAL(3): to be set in programs with threads.
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_NOSIGNAL, 1))
        // CURLOPT_QUICK_EXIT(3): a shutdown does not wait for a thread that resolves a name with a dead DNS server.
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_QUICK_EXIT, 1))
        set(setKeepAlive())
        // CURLOPT_UPLOAD_BUFFERSIZE(3): 64 KiB otherwise, for each request with a body; most bodies have less than 2.
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_UPLOAD_BUFFERSIZE, 16 << 10))
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1)))
        // The headers of a proxy's answer to CONNECT are none of the response's.
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1))
        set(setProxy(configuration.proxy))
        set(setTLS(configuration.tls, authorities: settings.authorities))
        set(setCallbacks())
        return result
    }

    /// Sets what a request asks for; to be called once. Returns the first refusal.
    ///
    /// - Parameter transfer: is called back, and must stay until the handle was removed from the multi handle.
    func prepare(_ request: HTTPRequest, for transfer: ActiveTransfer) -> CURLcode {
        var result = CURLE_OK
        func set(_ code: CURLcode) {
            if result == CURLE_OK { result = code }
        }
        let context = unsafe Unmanaged.passUnretained(transfer).toOpaque()
        unsafe set(CCurl_setopt_pointer(pointer, CURLOPT_WRITEDATA, context))
        unsafe set(CCurl_setopt_pointer(pointer, CURLOPT_HEADERDATA, context))
        let connect = request.timeouts.connect.milliseconds
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_CONNECTTIMEOUT_MS, connect))
        set(setMethod(request))
        set(setServer(request))
        return result
    }

    private func setMethod(_ request: HTTPRequest) -> CURLcode {
        if let body = request.body {
            let result = unsafe body.withUnsafeBytes { unsafe CCurl_setopt_body(pointer, $0.baseAddress, $0.count) }
            guard result == CURLE_OK else { return result }
        }
        // CURLOPT_CUSTOMREQUEST(3): changes the method's name only; libcurl would wait for the body of a HEAD's response.
        return request.method == "HEAD"
            ? unsafe CCurl_setopt_long(pointer, CURLOPT_NOBODY, 1)
            : unsafe CCurl_setopt_string(pointer, CURLOPT_CUSTOMREQUEST, request.method)
    }

    private func setServer(_ request: HTTPRequest) -> CURLcode {
        var headers = request.headers
        var url = request.url
        var connectTo: String?
        if let name = settings.configuration.tls.serverName {
            guard let server = RenamedServer(request.url, name: name) else { return CURLE_URL_MALFORMAT }
            headers["Host"] = server.host
            (url, connectTo) = (server.url, server.connectTo)
        }
        // CURLOPT_HTTPHEADER(3): a name with nothing behind it keeps libcurl from adding its own. A form is what it
        // takes every body for, and waiting for "100 Continue" only costs time.
        if request.body != nil {
            if headers["Content-Type"] == nil { headers.add("Content-Type", "") }
            headers.add("Expect", "")
        }
        let result = unsafe CCurl_setopt_string(pointer, CURLOPT_URL, url)
        return result == CURLE_OK ? setLists(headers: headers, connectTo: connectTo) : result
    }

    /// Headers, and where to connect to in place of the URL's server.
    private func setLists(headers: HTTPHeaders, connectTo: String?) -> CURLcode {
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
        if let connectTo {
            unsafe connectToList = curl_slist_append(nil, connectTo)
            guard unsafe connectToList != nil else { return CURLE_OUT_OF_MEMORY }
        }
        let result = unsafe CCurl_setopt_list(pointer, CURLOPT_HTTPHEADER, headerList)
        return result == CURLE_OK ? unsafe CCurl_setopt_list(pointer, CURLOPT_CONNECT_TO, connectToList) : result
    }

    /// Which proxy to use was decided by Go's rules, see ``ProxySettings``: nothing is left to the environment.
    private func setProxy(_ proxy: ProxyURL?) -> CURLcode {
        // CURLOPT_PROXY(3), CURLOPT_NOPROXY(3): "" is no proxy, and no exception, whatever the environment says.
        var result = unsafe CCurl_setopt_string(pointer, CURLOPT_PROXY, proxy?.curlURL ?? "")
        func set(_ code: CURLcode) {
            if result == CURLE_OK { result = code }
        }
        unsafe set(CCurl_setopt_string(pointer, CURLOPT_NOPROXY, ""))
        // Not as a part of the URL, which libcurl shows in error messages.
        if let user = proxy?.user, let password = proxy?.password {
            unsafe set(CCurl_setopt_string(pointer, CURLOPT_PROXYUSERNAME, user))
            unsafe set(CCurl_setopt_string(pointer, CURLOPT_PROXYPASSWORD, password))
        }
        return result
    }

    /// See ``KeepAlive``.
    private func setKeepAlive() -> CURLcode {
        var result = unsafe CCurl_setopt_long(pointer, CURLOPT_TCP_KEEPALIVE, 1)
        func set(_ code: CURLcode) {
            if result == CURLE_OK { result = code }
        }
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_TCP_KEEPIDLE, Int(KeepAlive.idleSeconds)))
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_TCP_KEEPINTVL, Int(KeepAlive.intervalSeconds)))
        // CURLOPT_SOCKOPTFUNCTION(3): called for each new socket before it connects.
        unsafe set(
            CCurl_setopt_socket_options_callback(pointer) { _, socket, _ in
                KeepAlive.setOptions(of: socket)
                return CURL_SOCKOPT_OK
            }
        )
        return result
    }

    private func setTLS(_ tls: TLSConfiguration, authorities: [UInt8]?) -> CURLcode {
        var result = unsafe CCurl_setopt_long(pointer, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2)
        func set(_ code: CURLcode) {
            if result == CURLE_OK { result = code }
        }
        // CURLOPT_SSL_VERIFYHOST(3): 2 checks the name, 0 does not.
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_SSL_VERIFYPEER, tls.verifiesServer ? 1 : 0))
        unsafe set(CCurl_setopt_long(pointer, CURLOPT_SSL_VERIFYHOST, tls.verifiesServer ? 2 : 0))
        if let authorities {
            set(setBlob(CURLOPT_CAINFO_BLOB, authorities))
            // These authorities and no others: the directory that libcurl was built with would be asked too.
            unsafe set(CCurl_setopt_string(pointer, CURLOPT_CAPATH, nil))
        }
        // CURLOPT_SSL_CTX_FUNCTION(3): called for each new connection, before its handshake. libcurl 7.88 puts the
        // authorities into the context's store after that, newer ones before it.
        if tls.verifiesServer {
            unsafe set(
                CCurl_setopt_ssl_context_callback(pointer) { _, context, _ in
                    if let context = unsafe context { unsafe IssuerSelection.install(in: OpaquePointer(context)) }
                    return CURLE_OK
                }
            )
        }
        if let client = tls.clientCertificate {
            // An encrypted key was refused before. Without a password libcurl 7.88 crashes for one, with one it fails.
            unsafe set(CCurl_setopt_string(pointer, CURLOPT_KEYPASSWD, ""))
            set(setBlob(CURLOPT_SSLCERT_BLOB, client.certificate))
            set(setBlob(CURLOPT_SSLKEY_BLOB, client.privateKey))
        }
        return result
    }

    private func setBlob(_ option: CURLoption, _ bytes: [UInt8]) -> CURLcode {
        unsafe bytes.withUnsafeBytes { unsafe CCurl_setopt_blob(pointer, option, $0.baseAddress, $0.count) }
    }

    private func setCallbacks() -> CURLcode {
        let body: CCurl_data_callback = { bytes, size, count, context in
            guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
            let transfer = unsafe Unmanaged<ActiveTransfer>.fromOpaque(context).takeUnretainedValue()
            return unsafe transfer.receiveBody(UnsafeRawBufferPointer(start: bytes, count: size * count))
        }
        let header: CCurl_data_callback = { bytes, size, count, context in
            guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
            let transfer = unsafe Unmanaged<ActiveTransfer>.fromOpaque(context).takeUnretainedValue()
            unsafe transfer.receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
            return size * count
        }
        let result = unsafe CCurl_setopt_callback(pointer, CURLOPT_WRITEFUNCTION, body)
        return result == CURLE_OK ? unsafe CCurl_setopt_callback(pointer, CURLOPT_HEADERFUNCTION, header) : result
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
