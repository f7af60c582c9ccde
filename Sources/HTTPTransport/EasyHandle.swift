// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl
import Threads

/// A `CURL *` for one transfer, and all that libcurl reads and writes for it. Belongs to the thread that made it.
///
/// Not for several transfers: libcurl counts, for each handle, the requests that it sends again because a kept
/// connection had died, and refuses after five, however long ago they were. Connections belong to the multi handle,
/// which keeps them.
@safe
final class EasyHandle {
    /// libcurl does not accept an option or its value.
    struct RefusedOption: Error {
        let code: CURLcode
    }

    private let thread = OwningThread()
    private let handle: UnsafeMutableRawPointer
    private let settings: ClientSettings
    /// `struct curl_slist *`; both must outlive the transfer.
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var connectToList: UnsafeMutablePointer<curl_slist>?
    /// Where libcurl writes its sentence about a failure.
    private let errorBuffer: UnsafeMutablePointer<CChar>

    /// - Throws: Code.transport, when there is no memory or libcurl refuses an option.
    init(settings: ClientSettings) throws(HTTPError) {
        guard let handle = unsafe curl_easy_init() else {
            throw HTTPError(code: .transport, message: "libcurl has no memory for a transfer")
        }
        unsafe self.handle = unsafe handle
        self.settings = settings
        unsafe errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        do throws(RefusedOption) {
            try configure(settings.configuration)
        } catch {
            throw HTTPError(
                code: .transport,
                message: "libcurl refuses an option: \(unsafe String(cString: curl_easy_strerror(error.code)))"
            )
        }
    }

    deinit {
        // curl_easy_cleanup(3): after the handle was removed from the multi handle, and before what it refers to is
        // freed.
        unsafe curl_easy_cleanup(pointer)
        unsafe curl_slist_free_all(headerList)
        unsafe curl_slist_free_all(connectToList)
        unsafe errorBuffer.deallocate()
    }

    /// `CURL *`; every call to libcurl takes the handle from here.
    var pointer: UnsafeMutableRawPointer {
        thread.preconditionIsCurrent()
        return unsafe handle
    }

    /// libcurl's sentence about the failure of the transfer; empty when it has none.
    var errorText: String { unsafe String(cString: errorBuffer) }

    /// Whether a request was sent, wholly or in part, on any connection. The CONNECT to a proxy counts as one.
    var hasSentRequest: Bool {
        // CURLINFO_REQUEST_SIZE(3): the size of all requests of the transfer, those on earlier connections included.
        // start_CONNECT in lib/http_proxy.c of 7.88.1 adds to it.
        var size = 0
        return unsafe CCurl_getinfo_long(pointer, CURLINFO_REQUEST_SIZE, &size) == CURLE_OK && size > 0
    }

    /// Closes the connection when the transfer ends. To be called before a transfer is ended early.
    func forbidConnectionReuse() {
        // CURLOPT_FORBID_REUSE(3): read when the transfer ends.
        unsafe _ = CCurl_setopt_long(pointer, CURLOPT_FORBID_REUSE, 1)
    }

    /// Continues after a pause.
    func resume() {
        // curl_easy_pause(3): what was held back may be delivered through the callback before this returns.
        unsafe _ = curl_easy_pause(pointer, CURLPAUSE_CONT)
    }
}

// MARK: Options

extension EasyHandle {
    /// Sets what all requests of a client share.
    private func configure(_ configuration: HTTPClient.Configuration) throws(RefusedOption) {
        try check(unsafe CCurl_setopt_pointer(pointer, CURLOPT_ERRORBUFFER, errorBuffer))
        try set(CURLOPT_PROTOCOLS_STR, "http,https")
        try set(CURLOPT_USERAGENT, configuration.userAgent)
        // CURLOPT_NOSIGNAL(3): required in programs with threads.
        try set(CURLOPT_NOSIGNAL, 1)
        // CURLOPT_QUICK_EXIT(3): the shutdown does not wait for a thread that resolves a name with a dead DNS server.
        try set(CURLOPT_QUICK_EXIT, 1)
        // CURLOPT_UPLOAD_BUFFERSIZE(3): the default of 64 KiB is allocated for each request with a body; most bodies
        // have less than 2 KiB.
        try set(CURLOPT_UPLOAD_BUFFERSIZE, 16 << 10)
        try set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        // CURLOPT_CONNECTTIMEOUT_MS(3): 0 is the default of 300 seconds.
        try set(CURLOPT_CONNECTTIMEOUT_MS, max(1, configuration.connectTimeout.milliseconds))
        // The headers of a proxy's response to CONNECT are not those of the response.
        try set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        try setKeepAlive()
        try setProxy(configuration.proxy)
        try setTLS(configuration.tls, authorities: settings.authorities)
        try setCallbacks()
    }

    /// Sets what one request asks for. To be called once.
    ///
    /// - Parameter transfer: receives the callbacks, and must live until the handle was removed from the multi handle.
    func prepare(_ request: HTTPRequest, for transfer: ActiveTransfer) throws(RefusedOption) {
        let context = unsafe Unmanaged.passUnretained(transfer).toOpaque()
        try check(unsafe CCurl_setopt_pointer(pointer, CURLOPT_WRITEDATA, context))
        try check(unsafe CCurl_setopt_pointer(pointer, CURLOPT_HEADERDATA, context))
        try setMethod(request)
        try setServer(request)
    }

    private func setMethod(_ request: HTTPRequest) throws(RefusedOption) {
        if let body = request.body {
            try check(unsafe body.withUnsafeBytes { unsafe CCurl_setopt_body(pointer, $0.baseAddress, $0.count) })
        }
        if request.method == "HEAD" {
            // CURLOPT_CUSTOMREQUEST(3): changes the method's name only; libcurl would wait for a body.
            try set(CURLOPT_NOBODY, 1)
        } else {
            try set(CURLOPT_CUSTOMREQUEST, request.method)
        }
    }

    private func setServer(_ request: HTTPRequest) throws(RefusedOption) {
        var headers = request.headers
        var url = request.url
        if let name = settings.configuration.tls.serverName {
            guard let server = RenamedServer(request.url, name: name) else {
                throw RefusedOption(code: CURLE_URL_MALFORMAT)
            }
            headers["Host"] = server.host
            url = server.url
            // curl_slist_append(3): copies the string; returns NULL when there is no memory.
            unsafe connectToList = curl_slist_append(nil, server.connectTo)
            guard unsafe connectToList != nil else { throw RefusedOption(code: CURLE_OUT_OF_MEMORY) }
            try check(unsafe CCurl_setopt_list(pointer, CURLOPT_CONNECT_TO, connectToList))
        }
        // CURLOPT_HTTPHEADER(3): a field without a value keeps libcurl from adding its own. It would declare every body
        // a form, and wait for "100 Continue".
        if request.body != nil {
            if headers["Content-Type"] == nil { headers.add("Content-Type", "") }
            headers.add("Expect", "")
        }
        try set(CURLOPT_URL, url)
        try setHeaders(headers)
    }

    private func setHeaders(_ headers: HTTPHeaders) throws(RefusedOption) {
        for field in headers.fields {
            // libcurl sends a line end as it is: a value could add fields, or a second request.
            guard !field.name.utf8.contains(where: isLineEnd), !field.value.utf8.contains(where: isLineEnd) else {
                throw RefusedOption(code: CURLE_BAD_FUNCTION_ARGUMENT)
            }
            // curl_slist_append(3): returns NULL, and leaves the list as it is, when there is no memory.
            guard let list = unsafe curl_slist_append(headerList, "\(field.name): \(field.value)") else {
                throw RefusedOption(code: CURLE_OUT_OF_MEMORY)
            }
            unsafe headerList = list
        }
        try check(unsafe CCurl_setopt_list(pointer, CURLOPT_HTTPHEADER, headerList))
    }

    /// The proxy was chosen by Go's rules, see ``ProxySettings``; libcurl must not read the environment by its own.
    private func setProxy(_ proxy: ProxyURL?) throws(RefusedOption) {
        // CURLOPT_PROXY(3), CURLOPT_NOPROXY(3): "" means no proxy, and no exception, whatever the environment says.
        try set(CURLOPT_PROXY, proxy?.curlURL ?? "")
        try set(CURLOPT_NOPROXY, "")
        // Not in the URL, which libcurl shows in error messages.
        if let user = proxy?.user, let password = proxy?.password {
            try set(CURLOPT_PROXYUSERNAME, user)
            try set(CURLOPT_PROXYPASSWORD, password)
        }
    }

    /// See ``KeepAlive``.
    private func setKeepAlive() throws(RefusedOption) {
        try set(CURLOPT_TCP_KEEPALIVE, 1)
        try set(CURLOPT_TCP_KEEPIDLE, Int(KeepAlive.idleSeconds))
        try set(CURLOPT_TCP_KEEPINTVL, Int(KeepAlive.intervalSeconds))
        // CURLOPT_SOCKOPTFUNCTION(3): called for each new socket before it connects.
        try check(
            unsafe CCurl_setopt_socket_options_callback(pointer) { _, socket, _ in
                KeepAlive.setOptions(of: socket)
                return CURL_SOCKOPT_OK
            }
        )
    }

    private func setTLS(_ tls: TLSConfiguration, authorities: [UInt8]?) throws(RefusedOption) {
        try set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        // CURLOPT_SSL_VERIFYHOST(3): 2 checks the name, 0 does not.
        try set(CURLOPT_SSL_VERIFYPEER, tls.verifiesServer ? 1 : 0)
        try set(CURLOPT_SSL_VERIFYHOST, tls.verifiesServer ? 2 : 0)
        if let authorities {
            try set(CURLOPT_CAINFO_BLOB, authorities)
            // Otherwise the directory that libcurl was built with would be trusted too.
            try set(CURLOPT_CAPATH, nil)
        }
        if tls.verifiesServer {
            // CURLOPT_SSL_CTX_FUNCTION(3): called for each new connection, before its handshake. libcurl 7.88 puts the
            // authorities into the context's store after that, newer versions before it.
            try check(
                unsafe CCurl_setopt_ssl_context_callback(pointer) { _, context, _ in
                    if let context = unsafe context { unsafe IssuerSelection.install(in: OpaquePointer(context)) }
                    return CURLE_OK
                }
            )
        }
        if let client = tls.clientCertificate {
            // `TLSConfiguration.ClientCertificate.check` has refused an encrypted key: libcurl 7.88 crashes for one
            // without a password, and fails the transfer with one.
            try set(CURLOPT_KEYPASSWD, "")
            try set(CURLOPT_SSLCERT_BLOB, client.certificate)
            try set(CURLOPT_SSLKEY_BLOB, client.privateKey)
        }
    }

    private func setCallbacks() throws(RefusedOption) {
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
        try check(unsafe CCurl_setopt_callback(pointer, CURLOPT_WRITEFUNCTION, body))
        try check(unsafe CCurl_setopt_callback(pointer, CURLOPT_HEADERFUNCTION, header))
    }

    private func set(_ option: CURLoption, _ value: Int) throws(RefusedOption) {
        try check(unsafe CCurl_setopt_long(pointer, option, value))
    }

    private func set(_ option: CURLoption, _ value: String?) throws(RefusedOption) {
        try check(unsafe CCurl_setopt_string(pointer, option, value))
    }

    private func set(_ option: CURLoption, _ blob: [UInt8]) throws(RefusedOption) {
        try check(unsafe blob.withUnsafeBytes { unsafe CCurl_setopt_blob(pointer, option, $0.baseAddress, $0.count) })
    }

    private func check(_ code: CURLcode) throws(RefusedOption) {
        if code != CURLE_OK { throw RefusedOption(code: code) }
    }
}

private func isLineEnd(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n")
}

extension Duration {
    /// Rounded up: a wait of so many milliseconds is not shorter.
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(clamping: seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
