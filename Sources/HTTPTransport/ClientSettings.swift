// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl

/// The checked configuration of a client, which all its transfers share.
final class ClientSettings: Sendable {
    let configuration: HTTPClient.Configuration
    /// The readable ones of the configuration's authorities, in PEM; nil trusts the system's.
    let authorities: [UInt8]?

    /// - Throws: Code.tls, when the authorities, the client certificate or its key cannot be used; Code.transport, when
    ///   libcurl cannot be initialised.
    init(_ configuration: HTTPClient.Configuration) throws(HTTPError) {
        guard Self.isLibraryReady else {
            throw HTTPError(code: .transport, message: "libcurl cannot be initialised")
        }
        authorities = try configuration.tls.readableAuthorities()
        try configuration.tls.checkClientCertificate()
        self.configuration = configuration
    }

    /// - Throws: Code.tls, when `tls` cannot be used.
    func with(_ tls: TLSConfiguration) throws(HTTPError) -> ClientSettings {
        var configuration = configuration
        configuration.tls = tls
        return try ClientSettings(configuration)
    }

    /// curl_global_init(3): once in a process, before any other function. Never undone.
    private static let isLibraryReady = CCurl_global_init() == CURLE_OK
}

extension HTTPClient.Configuration {
    /// Does what a client does before its first connection, without a network and without a thread, so that it can be
    /// fuzzed.
    ///
    /// - Throws: what the client's `init` or its first request would throw.
    package func check() throws(HTTPError) {
        _ = try EasyHandle(settings: ClientSettings(self))
        if let proxy, !HTTPRequest.isURL(proxy.curlURL) {
            throw HTTPError(code: .invalidRequest, message: "libcurl refuses the proxy \(proxy)")
        }
    }
}

extension HTTPRequest {
    /// Whether libcurl accepts the URL.
    package static func isURL(_ url: String) -> Bool {
        guard let handle = unsafe curl_url() else { return false }
        defer { unsafe curl_url_cleanup(handle) }
        // curl_url_set(3)
        let flags = UInt32(CURLU_NON_SUPPORT_SCHEME)
        return unsafe curl_url_set(handle, CURLUPART_URL, url, flags) == CURLUE_OK
    }
}
