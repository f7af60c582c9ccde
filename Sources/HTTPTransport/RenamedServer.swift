// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CCurl

/// A request to a URL's host whose certificate is verified for another name: kubeconfig's `tls-server-name`.
///
/// libcurl verifies the certificate for the host of its URL. So the URL gets the name, CURLOPT_CONNECT_TO the host, and
/// the `Host` header stays as it would be without the name.
struct RenamedServer {
    /// The URL with the name as its host.
    let url: String
    /// An entry for CURLOPT_CONNECT_TO(3): any host and port, the host, the URL's port.
    let connectTo: String
    /// Host and port of the original URL.
    let host: String

    /// - Returns: nil when the URL is invalid, or the name is not a valid host.
    init?(_ url: String, name: String) {
        guard let handle = unsafe curl_url() else { return nil }
        defer { unsafe curl_url_cleanup(handle) }
        /// curl_url_get(3): the text is the caller's to free.
        func part(_ part: CURLUPart) -> String? {
            var text: UnsafeMutablePointer<CChar>?
            guard unsafe curl_url_get(handle, part, &text, 0) == CURLUE_OK, let text = unsafe text else { return nil }
            defer { unsafe curl_free(text) }
            return unsafe String(cString: text)
        }
        guard
            unsafe curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK,
            let host = part(CURLUPART_HOST),
            unsafe curl_url_set(handle, CURLUPART_HOST, name, 0) == CURLUE_OK,
            let renamed = part(CURLUPART_URL)
        else { return nil }
        self.url = renamed
        connectTo = "::\(host):"
        self.host = part(CURLUPART_PORT).map { "\(host):\($0)" } ?? host
    }
}
